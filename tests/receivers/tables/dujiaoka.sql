CREATE TABLE `orders` (
  `id` int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
  `order_sn` varchar(150) NOT NULL UNIQUE,
  `goods_id` int NOT NULL,
  `title` varchar(200) DEFAULT NULL,
  `type` tinyint(1) NOT NULL DEFAULT 1,
  `buy_amount` int NOT NULL DEFAULT 1,
  `total_price` decimal(10,2) NOT NULL DEFAULT 0.00,
  `actual_price` decimal(10,2) NOT NULL DEFAULT 0.00,
  `email` varchar(200) DEFAULT NULL,
  `info` text,
  `pay_id` int DEFAULT NULL,
  `trade_no` varchar(200) DEFAULT '',
  `status` tinyint(1) NOT NULL DEFAULT 1,
  `created_at` timestamp NULL DEFAULT NULL,
  `updated_at` timestamp NULL DEFAULT NULL,
  `deleted_at` timestamp NULL DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
