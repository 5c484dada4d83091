-- Columns and types of kamiFaka as SQLAlchemy makes them, as far as an order has to do with them.
CREATE TABLE `temporder` (
  `id` integer NOT NULL AUTO_INCREMENT,
  `out_order_id` varchar(50) NOT NULL,
  `name` varchar(50) NOT NULL,
  `payment` varchar(50) NOT NULL,
  `contact` varchar(50) DEFAULT NULL,
  `contact_txt` text,
  `price` float NOT NULL,
  `num` integer NOT NULL,
  `total_price` float NOT NULL,
  `status` tinyint(1) DEFAULT NULL,
  `auto` tinyint(1) NOT NULL,
  `updatetime` datetime NOT NULL,
  `endtime` datetime DEFAULT NULL,
  PRIMARY KEY (`id`)
);
CREATE TABLE `order` (
  `id` integer NOT NULL AUTO_INCREMENT,
  `out_order_id` varchar(50) NOT NULL,
  `name` varchar(50) NOT NULL,
  `payment` varchar(50) NOT NULL,
  `contact` varchar(50) DEFAULT NULL,
  `contact_txt` text,
  `price` float NOT NULL,
  `num` integer NOT NULL,
  `total_price` float NOT NULL,
  `card` text,
  `status` tinyint(1) DEFAULT NULL,
  `updatetime` datetime NOT NULL,
  PRIMARY KEY (`id`)
);
CREATE TABLE `card` (
  `id` integer NOT NULL AUTO_INCREMENT,
  `prod_name` varchar(50) NOT NULL,
  `card` text NOT NULL,
  `reuse` tinyint(1) DEFAULT NULL,
  `isused` tinyint(1) DEFAULT NULL,
  PRIMARY KEY (`id`)
);
INSERT INTO `card` (`prod_name`, `card`, `reuse`, `isused`) VALUES ('one for all', 'shared', 1, 0);
