-- Columns, types and indexes of dujiaoka 2.x as far as an order has to do with them.
CREATE TABLE `orders` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `order_sn` varchar(150) NOT NULL,
  `goods_id` int NOT NULL,
  `coupon_id` int DEFAULT '0',
  `title` varchar(200) NOT NULL,
  `type` tinyint(1) NOT NULL DEFAULT '1',
  `goods_price` decimal(10,2) NOT NULL DEFAULT '0.00',
  `buy_amount` int NOT NULL DEFAULT '1',
  `coupon_discount_price` decimal(10,2) NOT NULL DEFAULT '0.00',
  `wholesale_discount_price` decimal(10,2) NOT NULL DEFAULT '0.00',
  `total_price` decimal(10,2) NOT NULL DEFAULT '0.00',
  `actual_price` decimal(10,2) NOT NULL DEFAULT '0.00',
  `search_pwd` varchar(200) DEFAULT '',
  `email` varchar(200) NOT NULL,
  `info` text,
  `pay_id` int DEFAULT NULL,
  `buy_ip` varchar(50) NOT NULL,
  `trade_no` varchar(200) DEFAULT '',
  `status` tinyint(1) NOT NULL DEFAULT '1',
  `coupon_ret_back` tinyint(1) NOT NULL DEFAULT '0',
  `created_at` timestamp NULL DEFAULT NULL,
  `updated_at` timestamp NULL DEFAULT NULL,
  `deleted_at` timestamp NULL DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `idx_order_sn` (`order_sn`),
  KEY `idx_goods_id` (`goods_id`),
  KEY `idex_email` (`email`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE `pays` (
  `id` int NOT NULL AUTO_INCREMENT,
  `pay_name` varchar(200) NOT NULL,
  `pay_check` varchar(50) NOT NULL,
  `pay_handleroute` varchar(200) NOT NULL,
  `is_open` tinyint(1) NOT NULL DEFAULT '1',
  PRIMARY KEY (`id`),
  UNIQUE KEY `idx_pay_check` (`pay_check`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO `pays` VALUES (14, 'yipay alipay', 'alipay', '/pay/yipay', 1), (15, 'yipay wechat', 'wxpay', '/pay/yipay', 1);
CREATE TABLE `carmis` (
  `id` bigint NOT NULL AUTO_INCREMENT,
  `goods_id` int NOT NULL,
  `status` tinyint(1) NOT NULL DEFAULT '1',
  `is_loop` tinyint(1) NOT NULL DEFAULT '0',
  `carmi` text NOT NULL,
  `created_at` timestamp NULL DEFAULT NULL,
  `updated_at` timestamp NULL DEFAULT NULL,
  `deleted_at` timestamp NULL DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `idx_goods_id` (`goods_id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
