"""The shops whose API is asked for what their webhooks did not bring, by kind.

A table beside that of the webhooks, because to load a configuration needs no network library.
"""

from __future__ import annotations

from collections.abc import Callable

from monitor.adapters.http_client import HttpClient
from monitor.adapters.shops.api import WebhookState
from monitor.adapters.shops.facts import Facts
from monitor.adapters.shops.shopify_api import ShopifyApi
from monitor.adapters.shops.stripe_api import StripeApi
from monitor.adapters.shops.woocommerce_api import WooCommerceApi
from monitor.model.endpoints import ShopSource
from monitor.ports import ShopPull

APIS: dict[str, Callable[[ShopSource, Facts, HttpClient, WebhookState], ShopPull]] = {
    "shopify": ShopifyApi,
    "stripe": StripeApi,
    "woocommerce": WooCommerceApi,
}
