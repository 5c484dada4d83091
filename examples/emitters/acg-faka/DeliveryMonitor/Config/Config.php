<?php
declare(strict_types=1);

return [
    'STATUS' => '0',
    'url' => 'http://127.0.0.1:8080',
    'secret' => '',
    'spool' => '/var/spool/shop/acg-faka.ndjson',
];
