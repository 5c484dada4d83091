<?php
declare(strict_types=1);

return [
    ["title" => "监控地址", "name" => "url", "type" => "input", "placeholder" => "http://127.0.0.1:8080；留空则只写文件"],
    ["title" => "签名密钥", "name" => "secret", "type" => "input", "placeholder" => "whsec_…"],
    ["title" => "缓存文件", "name" => "spool", "type" => "input", "placeholder" => "网站目录以外，PHP 可写"],
];
