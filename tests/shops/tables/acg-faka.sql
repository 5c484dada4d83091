-- Columns, types and indexes of acg-faka 3.x as far as an order has to do with them.
CREATE TABLE `acg_order` (
  `id` int UNSIGNED NOT NULL AUTO_INCREMENT,
  `owner` int UNSIGNED NOT NULL DEFAULT 0,
  `user_id` int UNSIGNED NOT NULL DEFAULT 0,
  `trade_no` char(19) NOT NULL,
  `amount` decimal(10, 2) UNSIGNED NOT NULL,
  `commodity_id` int UNSIGNED NOT NULL,
  `card_id` int UNSIGNED NULL DEFAULT NULL,
  `card_num` int UNSIGNED NOT NULL DEFAULT 0,
  `pay_id` int UNSIGNED NOT NULL,
  `create_time` datetime NOT NULL,
  `create_ip` varchar(64) NOT NULL,
  `create_device` tinyint UNSIGNED NOT NULL,
  `pay_time` datetime NULL DEFAULT NULL,
  `status` tinyint UNSIGNED NOT NULL DEFAULT 0,
  `secret` longtext NULL,
  `password` varchar(32) NULL DEFAULT NULL,
  `contact` varchar(32) NULL DEFAULT NULL,
  `delivery_status` tinyint UNSIGNED NOT NULL DEFAULT 0,
  `pay_url` varchar(1024) NULL DEFAULT NULL,
  `race` varchar(32) NULL DEFAULT NULL,
  `sku` json DEFAULT NULL,
  `request_no` char(19),
  PRIMARY KEY (`id`),
  UNIQUE INDEX `trade_no`(`trade_no`),
  UNIQUE INDEX `request_no`(`request_no`),
  INDEX `commodity_id`(`commodity_id`),
  INDEX `pay_id`(`pay_id`),
  INDEX `contact`(`contact`),
  INDEX `create_time`(`create_time`),
  INDEX `delivery_status`(`delivery_status`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE `acg_card` (
  `id` int UNSIGNED NOT NULL AUTO_INCREMENT,
  `owner` int UNSIGNED NOT NULL DEFAULT 0,
  `commodity_id` int UNSIGNED NOT NULL,
  `draft` varchar(255) NULL DEFAULT NULL,
  `secret` varchar(760) NOT NULL,
  `create_time` datetime NOT NULL,
  `purchase_time` datetime NULL DEFAULT NULL,
  `order_id` int UNSIGNED NULL DEFAULT NULL,
  `status` tinyint UNSIGNED NOT NULL DEFAULT 0,
  `note` varchar(64) NULL DEFAULT NULL,
  `race` varchar(32) NULL DEFAULT NULL,
  PRIMARY KEY (`id`),
  INDEX `commodity_id`(`commodity_id`),
  INDEX `order_id`(`order_id`),
  INDEX `status`(`status`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE `acg_commodity` (
  `id` int UNSIGNED NOT NULL AUTO_INCREMENT,
  `name` varchar(255) NOT NULL,
  `delivery_way` tinyint UNSIGNED NOT NULL DEFAULT 0,
  `shared_id` int UNSIGNED NULL DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE `acg_pay` (
  `id` int UNSIGNED NOT NULL AUTO_INCREMENT,
  `name` varchar(16) NOT NULL,
  `code` varchar(32) NOT NULL,
  `handle` varchar(64) NOT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO `acg_pay` VALUES (1, 'balance', 'balance', '#system'), (2, 'alipay', 'alipay', 'Epay');
INSERT INTO `acg_commodity` VALUES (7, 'local', 0, NULL), (8, 'manual', 1, NULL), (9, 'upstream', 0, 3);
