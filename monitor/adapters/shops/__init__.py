"""The shop systems by kind. A new one is one module beside this and one line in a table."""

from __future__ import annotations

from collections.abc import Callable

from monitor.adapters.shops.facts import Facts
from monitor.adapters.shops.lemonsqueezy import LemonSqueezy
from monitor.adapters.shops.paddle import Paddle
from monitor.adapters.shops.push import Push
from monitor.adapters.shops.shopify import Shopify
from monitor.adapters.shops.standard_webhooks import StandardWebhooks
from monitor.adapters.shops.stripe import Stripe
from monitor.adapters.shops.woocommerce import WooCommerce
from monitor.model.endpoints import ShopSource
from monitor.ports import ShopPull

# Read where they keep their orders.
PULLS: dict[str, Callable[[ShopSource, Facts], ShopPull]] = {}
# Read when they call `POST /hooks/{source}`.
PUSHES: dict[str, type[Push]] = {
    "lemonsqueezy": LemonSqueezy,
    "paddle": Paddle,
    "shopify": Shopify,
    "standard_webhooks": StandardWebhooks,
    "stripe": Stripe,
    "woocommerce": WooCommerce,
}


def kinds() -> tuple[str, ...]:
    """Every kind that a source can have, besides `events`."""
    return tuple(sorted(PULLS.keys() | PUSHES.keys()))
