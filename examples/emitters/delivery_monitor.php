<?php
/**
 * Tells Delivery Monitor what happens to orders. One file, PHP 7.4 or newer, no extension needed.
 *
 *     $monitor = new DeliveryMonitor(['url' => 'http://127.0.0.1:8080', 'key' => 'dm_…', 'spool' => '/var/spool/shop/events.ndjson']);
 *     $monitor->emit('order.paid', $orderId, ['channel' => 'auto', 'sku' => 'steam-50', 'amount_minor' => 5000]);
 *
 * emit() appends a line to the spool. A web request sends the spool when it is over and the buyer has the page,
 * a command at once; what cannot be sent waits for the next request, or for a flush() from cron. Nothing throws
 * or waits longer than timeout_ms. Without a url the spool is only written: the monitor can read it (sources[].tail).
 */
class DeliveryMonitor
{
    const FIELDS = ['id', 'source', 'time', 'traceparent', 'channel', 'sku', 'quantity', 'amount_minor', 'currency', 'provider',
        'payment_id', 'customer_tier', 'customer_hash', 'speed', 'fulfilment', 'region', 'attempt', 'reason', 'promise_s',
        'meaning', 'outcome', 'takeover_id'];
    const LINE_MAX = 16384, BATCH_LINES = 500, BATCH_BYTES = 262144; // an event; a request
    private $set, $isWaiting = false;

    public function __construct(array $set)
    {
        $this->set = $set + ['url' => '', 'key' => '', 'secret' => '', 'source' => '', 'spool' => '', 'timeout_ms' => 180,
            'retry_ms' => 10000, 'spool_max' => 67108864];
    }

    /** Notes an event; true if it is in the spool. Only known fields are kept: card text never leaves the shop. */
    public function emit(string $type, $order, array $fields = []): bool
    {
        try {
            $event = ['type' => $type, 'order_id' => is_array($order) ? '' : (string) $order] + array_intersect_key($fields, array_flip(self::FIELDS));
            $event += ['id' => bin2hex(random_bytes(16)), 'time' => (new DateTime('now', new DateTimeZone('UTC')))->format('Y-m-d\TH:i:s.v\Z')];
            $event += array_filter(['source' => $this->set['source']]);
            $line = json_encode($event, JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE);
            $isKept = $line !== false && trim($event['order_id']) !== '' && strlen($line) <= self::LINE_MAX && $this->append($this->set['spool'], $line);
            if (PHP_SAPI === 'cli') $this->flush();
            elseif (!$this->isWaiting) register_shutdown_function(function () {
                if (function_exists('fastcgi_finish_request')) fastcgi_finish_request();
                $this->flush();
            });
            $this->isWaiting = true;
            return $isKept;
        } catch (\Throwable $error) {
            return false;
        }
    }

    /** Sends what is in the spool, for timeout_ms at most; true if nothing is left. */
    public function flush(): bool
    {
        try {
            $place = $this->set['url'] ? @fopen($this->set['spool'] . '.at', 'c+b') : false; // sent up to here; not again before
            $deadline = microtime(true) + $this->set['timeout_ms'] / 1000;
            while ($place && !flock($place, LOCK_EX | LOCK_NB) && usleep(2000) === null) { // somebody else is sending
                if (microtime(true) > $deadline) return false;
            }
            [$at, $notBefore] = $place ? array_map('intval', explode(' ', stream_get_contents($place) . ' 0 ')) : [0, INF];
            if (microtime(true) * 1000 < $notBefore || !($spool = @fopen($this->set['spool'], 'r+b'))) return false;
            while (microtime(true) < $deadline) {
                if ($at > fstat($spool)['size']) $at = 0;
                [$chunk, $lines] = $this->batch($spool, $at);
                if ($chunk === '' && !flock($spool, LOCK_EX | LOCK_NB)) continue; // somebody is appending
                if ($chunk === '' && $this->batch($spool, $at)[0] === '') return $this->emptied($spool, $place, $at);
                if ($chunk === '' && flock($spool, LOCK_UN)) continue;
                $isDone = !$lines || $this->send($lines, $deadline);
                $at += $isDone ? strlen($chunk) : 0;
                $this->note($place, $at, $isDone ? 0 : (int) (microtime(true) * 1000) + $this->set['retry_ms']);
                if (!$isDone) return false;
            }
        } catch (\Throwable $error) { } // later
        return false;
    }

    /** Adds a line to a file. One that ends within a line was left so by a kill: that line is closed first. */
    private function append(string $path, string $line): bool
    {
        [$mask, $file] = [umask(0077), @fopen($path, 'a+b')];
        umask($mask);
        if (!$file) return false;
        for ($tries = 0; !flock($file, LOCK_EX | LOCK_NB) && $tries < 50; $tries++) usleep(1000);
        $size = fstat($file)['size'];
        $isTorn = $size > 0 && fseek($file, -1, SEEK_END) === 0 && fgetc($file) !== "\n";
        $isKept = $size < $this->set['spool_max'] && fwrite($file, ($isTorn ? "\n" : '') . $line . "\n") !== false;
        return fclose($file) && $isKept;
    }

    /** Whole lines from a place on: their bytes, and those that are not blank. */
    private function batch($spool, int $at): array
    {
        fseek($spool, $at);
        $text = (string) fread($spool, self::BATCH_BYTES);
        $lines = array_slice(array_slice(explode("\n", $text), 0, -1), 0, self::BATCH_LINES); // what follows the last break is not whole
        return [$lines ? implode("\n", $lines) . "\n" : '', array_values(array_filter($lines, 'trim'))];
    }

    /** Empties a spool that was sent as a whole; one that ends within a line waits for the next append. */
    private function emptied($spool, $place, int $at): bool
    { // killed between the two, all of it is sent again, under the same ids
        return fstat($spool)['size'] === $at && $this->note($place, 0, 0) && ftruncate($spool, 0);
    }

    private function note($place, int $at, int $notBefore): bool
    {
        return rewind($place) && fwrite($place, sprintf('%015d %015d', $at, $notBefore)) && fflush($place);
    }

    /** Posts lines; true if the monitor has them, or refuses them for what they are: then they are in SPOOL.rejected. */
    private function send(array $lines, float $deadline): bool
    {
        $answer = $this->post(implode("\n", $lines) . "\n", $deadline);
        $said = json_decode((string) strstr($answer, "\r\n\r\n"), true);
        if (isset($said['accepted'])) $bad = array_column($said['rejected'], 'index');
        elseif (strpos($said['type'] ?? '', 'urn:delivery-monitor:') === 0 && $said['status'] === 400) $bad = array_keys($lines);
        else return false; // no answer, overload, a wrong key, or not the monitor at all: later
        foreach ($bad as $index) $this->append($this->set['spool'] . '.rejected', $lines[$index]);
        return true;
    }

    /** The answer to a request, or what came of it until the deadline. */
    private function post(string $body, float $deadline): string
    {
        $url = parse_url($this->set['url']) + ['path' => '', 'query' => ''];
        $port = $url['port'] ?? ($url['scheme'] === 'https' ? 443 : 80);
        $peer = ($url['scheme'] === 'https' ? 'tls' : 'tcp') . "://{$url['host']}:$port";
        $stream = @stream_socket_client($peer, $code, $text, max(0.001, $deadline - microtime(true)));
        if (!$stream) return '';
        stream_set_blocking($stream, false);
        $target = rtrim($url['path'], '/') . '/v1/events' . ($url['query'] ? "?{$url['query']}" : '');
        $out = "POST $target HTTP/1.0\r\nHost: {$url['host']}:$port\r\nContent-Type: application/x-ndjson\r\n"
            . 'Content-Length: ' . strlen($body) . "\r\n" . $this->proof($body) . "\r\n" . $body;
        for ($in = ''; ($left = $deadline - microtime(true)) > 0 && !feof($stream); ) {
            [$read, $write, $odd] = [[$stream], $out === '' ? [] : [$stream], []];
            if (!@stream_select($read, $write, $odd, (int) $left, (int) (fmod($left, 1) * 1e6))) break;
            if ($read) $in .= fread($stream, 65536);
            if ($write && ($sent = @fwrite($stream, $out)) === false) break;
            if ($write) $out = (string) substr($out, $sent);
        }
        return $in;
    }

    /** A key, or a signature as Standard Webhooks ask for. */
    private function proof(string $body): string
    {
        ['key' => $key, 'secret' => $secret] = $this->set;
        if ($secret === '') return $key === '' ? '' : "Authorization: Bearer $key\r\n";
        $raw = strpos($secret, 'whsec_') === 0 ? base64_decode(substr($secret, 6)) : $secret;
        [$id, $at] = ['msg_' . hash('md5', $body), time()];
        $mac = base64_encode(hash_hmac('sha256', "$id.$at.$body", $raw, true));
        return "webhook-id: $id\r\nwebhook-timestamp: $at\r\nwebhook-signature: v1,$mac\r\n";
    }
}
