<?php
declare(strict_types=1);

use App\Consts\Plugin;

return [
    Plugin::NAME => '发货监控 Delivery Monitor',
    Plugin::AUTHOR => 'Delivery Monitor',
    Plugin::WEB_SITE => '#',
    Plugin::DESCRIPTION => '订单状态写入本地文件并签名上报，卡密不出本店',
    Plugin::VERSION => '1.0.0'
];
