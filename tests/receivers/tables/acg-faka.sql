CREATE TABLE `order` (
  `id` int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
  `owner` int unsigned NOT NULL DEFAULT 0,
  `trade_no` char(19) NOT NULL UNIQUE,
  `amount` decimal(10,2) unsigned NOT NULL,
  `commodity_id` int unsigned NOT NULL,
  `pay_id` int DEFAULT NULL,
  `create_time` datetime NOT NULL,
  `pay_time` datetime DEFAULT NULL,
  `status` tinyint unsigned NOT NULL DEFAULT 0,
  `secret` longtext,
  `delivery_status` tinyint unsigned NOT NULL DEFAULT 0,
  `card_num` int unsigned NOT NULL DEFAULT 1,
  `request_no` varchar(32) DEFAULT NULL UNIQUE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
