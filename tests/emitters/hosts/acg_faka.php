<?php // What the plugin needs of acg-faka, behaving as its source says; the request is what standard input tells.
namespace Kernel\Annotation {
    #[\Attribute(\Attribute::TARGET_METHOD | \Attribute::IS_REPEATABLE)]
    class Hook { public function __construct(public int $point) {} }
}
namespace App\Consts {
    interface Hook
    {
        const USER_API_ORDER_TRADE_AFTER = 0x17;
        const USER_API_ORDER_PAY_AFTER = 0x18;
        const SERVICE_PAY_CALLBACK_FAIL = 0x3010;
        const ORDER_MANUAL_DELIVERY_AFTER = 0x2200;
    }
}
namespace App\Controller\Base\View {
    abstract class UserPlugin {}
}
namespace App\Util {
    class Plugin
    {
        public static array $config = [];
        public static function getConfig(string $name): array { return self::$config; }
        public static function log(string $name, string $message): void { fwrite(STDERR, "$name: $message\n"); }
    }
}
namespace App\Model {
    class Rows
    {
        public function __construct(private array $rows) {}
        public function where(string $column, $value): self
        {
            return new self(array_values(array_filter($this->rows, fn ($row) => $row->$column == $value)));
        }
        public function first() { return $this->rows[0] ?? null; }
        public function count(): int { return count($this->rows); }
    }
    class Order
    {
        public static array $table = [];
        public static function query(): Rows { return new Rows(self::$table); }
    }
    class Card
    {
        public static array $table = [];
        public static function query(): Rows { return new Rows(self::$table); }
    }
}
namespace {
    require getenv('DM_PLUGIN') . '/Hook/Orders.php';

    /** Arguments are taken by reference, and a bool that is returned ends the chain. */
    function hook(int $point, mixed &...$args): void
    {
        foreach ((new ReflectionClass(App\Plugin\DeliveryMonitor\Hook\Orders::class))->getMethods() as $method) {
            foreach ($method->getAttributes(Kernel\Annotation\Hook::class) as $attribute) {
                if ($attribute->newInstance()->point !== $point) continue;
                if (is_bool($method->invoke(new App\Plugin\DeliveryMonitor\Hook\Orders(), ...$args))) return;
            }
        }
    }

    $said = json_decode(stream_get_contents(STDIN));
    App\Util\Plugin::$config = (array) $said->config;
    App\Model\Order::$table = $said->before;
    App\Model\Card::$table = $said->cards;
    foreach ($said->hooks as [$point, $arguments]) hook($point, ...$arguments);
    if ($said->is_committed) App\Model\Order::$table = $said->after;
    echo 'answered', @filesize($said->config->spool) ? ' with a spool' : '', "\n"; // what the buyer waits for
}
