-- Columns, types and indexes of ZFAKA 1.x as far as an order has to do with them.
CREATE TABLE `t_order` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `orderid` varchar(55) NOT NULL DEFAULT '0',
  `userid` int(11) NOT NULL DEFAULT '0',
  `email` varchar(255) NOT NULL DEFAULT '',
  `qq` varchar(50) NOT NULL DEFAULT '',
  `pid` int(11) NOT NULL DEFAULT '0',
  `productname` varchar(255) NOT NULL DEFAULT '',
  `price` decimal(10,2) NOT NULL DEFAULT '0.00',
  `number` int(11) NOT NULL DEFAULT '0',
  `money` decimal(10,2) NOT NULL DEFAULT '0.00',
  `chapwd` varchar(55) NOT NULL DEFAULT '',
  `ip` varchar(55) NOT NULL DEFAULT '',
  `status` tinyint(4) NOT NULL DEFAULT '0',
  `addtime` int(11) NOT NULL DEFAULT '0',
  `paytime` int(11) NOT NULL DEFAULT '0',
  `tradeid` varchar(255) NOT NULL DEFAULT '',
  `paymethod` varchar(255) NOT NULL DEFAULT '',
  `paymoney` decimal(10,2) NOT NULL DEFAULT '0.00',
  `kami` text NOT NULL DEFAULT '',
  `configure1` text NOT NULL DEFAULT '',
  `addons` text NOT NULL DEFAULT '',
  `isdelete` tinyint(1) NOT NULL DEFAULT '0',
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
CREATE TABLE `t_products` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `typeid` int(11) NOT NULL DEFAULT '1',
  `active` tinyint(1) NOT NULL DEFAULT '0',
  `name` varchar(255) NOT NULL DEFAULT '',
  `stockcontrol` tinyint(1) NOT NULL DEFAULT '0',
  `qty` int(11) NOT NULL DEFAULT '0',
  `qty_sell` int(11) NOT NULL DEFAULT '0',
  `price` decimal(10,2) NOT NULL DEFAULT '0.00',
  `auto` tinyint(1) NOT NULL DEFAULT '0',
  `isdelete` tinyint(1) NOT NULL DEFAULT '0',
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
INSERT INTO `t_products` (`id`, `name`, `stockcontrol`, `auto`) VALUES (7, 'cards', 1, 1), (8, 'by hand', 0, 0), (9, 'one card for all', 0, 1);
