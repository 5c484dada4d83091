"""Turns the checked document into `Endpoints`: addresses and secrets, as adapters get them."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Sequence

import msgspec

from monitor.config.build_gateways import build_gateways
from monitor.config.build_relays import build_relays
from monitor.config.build_sources import EVENTS, build_sources
from monitor.config.build_suppliers import probe_of, request_of, rows_of, signing_of
from monitor.config.build_tails import build_tails
from monitor.config.report import Report
from monitor.config.schema import Document
from monitor.config.schema_channels import Callback as CallbackKeys
from monitor.config.schema_channels import Channel, Request, Sign
from monitor.config.schema_outlets import DingTalk, PlainWebhook, Webhook
from monitor.config.secret_files import SecretReader
from monitor.config.values import ITEMS_MAX, host_port, split_listen, split_url
from monitor.config.yaml_lines import YamlPath
from monitor.model.endpoints import (
    Callback,
    CanaryEndpoint,
    Drill,
    Endpoint,
    Endpoints,
    ErrorRule,
    HttpChannel,
    IngestKey,
    Listen,
    Places,
    ShopEndpoints,
    ShopRetry,
    Signing,
    SourceSecrets,
    Telemetry,
)
from monitor.model.secret import Secret

KEY_LENGTH_MIN = 20
WEBHOOK_SECRET_BYTES_MIN = 16


def build_endpoints(
    document: Document, listen: Listen, data_dir: str, secrets: SecretReader, report: Report
) -> Endpoints:
    """Read every secret and put the addresses together; what cannot be got is reported."""
    builder = _Builder(document, secrets, report)
    otlp = document.telemetry.otlp
    failover = document.failover.webhook
    endpoints = Endpoints(
        listen=listen,
        listen_fast=_address(document.listen_fast),
        listen_ingest=_address(document.listen_ingest),
        listen_metrics=_address(document.listen_metrics),
        places=Places(
            document.connections.max,
            document.connections.per_address,
            tuple(document.connections.proxies),
        ),
        data_dir=data_dir,
        disk_reserve_mib=document.disk_reserve_mib,
        integrations=builder.integrations(),
        webhooks=tuple(
            builder.addressed(webhook, "webhook", "webhooks", ("webhooks", index))
            for index, webhook in enumerate(document.webhooks)
        ),
        failover=builder.endpoint(failover, "webhook", "failover", ("failover", "webhook"))
        if failover
        else None,
        shop=builder.shop(),
        canary=builder.canary(),
        http_channels=builder.http_channels(),
        own_channels=builder.own_channels(),
        keys=builder.keys(),
        source_secrets=builder.source_secrets(),
        shop_sources=build_sources(document, secrets, report),
        gateways=build_gateways(document, secrets, report),
        tails=build_tails(document, secrets.folder, report),
        get_sources=tuple(source.name for source in document.sources if source.allow_get),
        quotas=_quotas(document),
        replay_window_ms=document.replay_window,
        egress_allow=tuple(document.egress.allow),
        allowed_hosts=_allowed_hosts(document),
        telemetry=Telemetry(otlp.endpoint, traces=otlp.traces, metrics=otlp.metrics)
        if otlp
        else Telemetry(),
    )
    relays = build_relays(document, endpoints.gateways, listen, report)
    asked = [*_asked(endpoints), *(one.forward for one in relays)]
    urls = [*builder.urls, *asked, *([otlp.endpoint] if otlp else [])]
    hosts = dict.fromkeys(host_port(url) for url in urls)
    return msgspec.structs.replace(endpoints, relays=relays, config_hosts=tuple(hosts))


def _quotas(document: Document) -> dict[str, int]:
    """Events a second that a source may send, where that is limited."""
    limits = {source.name: source.max_events_per_s for source in document.sources}
    return {name: limit for name, limit in limits.items() if limit is not None}


def _asked(endpoints: Endpoints) -> list[str]:
    """Gateways and shops that are asked by themselves."""
    gateways = [one.url for one in endpoints.gateways if one.url]
    return gateways + [one.api.url for one in endpoints.shop_sources if one.api and one.api.url]


def _address(written: str | None) -> Listen | None:
    return Listen(*split_listen(written)) if written else None


def _allowed_hosts(document: Document) -> tuple[str, ...]:
    """The configured names, and the one in the links we hand out."""
    own = (split_url(document.public_url).hostname,) if document.public_url else ()
    return tuple(dict.fromkeys(host for host in (*document.allowed_hosts, *own) if host))


class _Builder:
    """Collects the URLs on the way; theirs are the hosts the egress guard lets through."""

    def __init__(self, document: Document, secrets: SecretReader, report: Report) -> None:
        self._document = document
        self._secrets = secrets
        self._report = report
        self.urls: list[str] = []
        self._names: set[str] = set()
        self._shop_secret: Secret | None = None

    def addressed(
        self, outlet: Webhook | PlainWebhook | DingTalk, kind: str, prefix: str, at: YamlPath
    ) -> Endpoint:
        """One entry of a list, under a name that stays with its address.

        Queued messages carry the name: a position in the list would lead them to another receiver
        once an entry before it is removed. The same address again is a second entry.
        """
        endpoint = self.endpoint(outlet, kind, prefix, at)
        first = f"{prefix}/{_address_id(endpoint.url)}"
        names = (first, *(f"{first}-{number}" for number in range(2, ITEMS_MAX + 2)))
        name = next(name for name in names if name not in self._names)
        self._names.add(name)
        return msgspec.structs.replace(endpoint, name=name)

    def endpoint(
        self, outlet: Webhook | PlainWebhook | DingTalk, kind: str, name: str, at: YamlPath
    ) -> Endpoint:
        url = self._secrets.read(at, "url", outlet.url, outlet.url_file)
        if url is not None and self._is_good_url(url, at, outlet.url is None):
            self.urls.append(url.reveal())
        options: dict[str, object] = {}
        if isinstance(outlet, DingTalk):
            options = {
                "at_mobiles": outlet.at_mobiles,
                "at_user_ids": outlet.at_user_ids,
                "at_all": outlet.at_all,
            }
        return Endpoint(
            name=name,
            kind=kind,
            url=url or Secret(""),
            secret=self._secret(outlet.secret, outlet.secret_file, at),
            options=options,
        )

    def integrations(self) -> tuple[Endpoint, ...]:
        found: list[Endpoint] = []
        for index, receiver in enumerate(self._document.notify.receivers):
            at: YamlPath = ("notify", "receivers", index)
            outlets: tuple[tuple[str, Sequence[DingTalk | PlainWebhook]], ...] = (
                ("dingtalk", receiver.dingtalk),
                ("webhook", receiver.webhook),
            )
            found.extend(
                self.addressed(outlet, kind, f"{receiver.name}/{kind}", (*at, kind, number))
                for kind, listed in outlets
                for number, outlet in enumerate(listed)
            )
        return tuple(found)

    def shop(self) -> ShopEndpoints | None:
        shop = self._document.shop
        if shop is None:
            return None
        self.urls += [shop.claim_url, shop.deliver_url]
        more = (shop.release_url, shop.notify_url, shop.compensate_url, shop.refund_url)
        self.urls += [url for url in more if url]
        secret = self._shop_secret = self._secret(shop.secret, shop.secret_file, ("shop",))
        if shop.secret is None and shop.secret_file is None:
            message = "shop has no secret_file: the shop cannot tell our requests from forged ones"
            self._report.warn(("shop",), message)
        return ShopEndpoints(
            claim_url=shop.claim_url,
            deliver_url=shop.deliver_url,
            release_url=shop.release_url,
            notify_url=shop.notify_url,
            compensate_url=shop.compensate_url,
            refund_url=shop.refund_url,
            secret=secret,
        )

    def canary(self) -> CanaryEndpoint | None:
        canary = self._document.canary
        if canary is None:
            return None
        self.urls.append(canary.via)
        secret = self._secret(canary.secret, canary.secret_file, ("canary",))
        return CanaryEndpoint(canary.via, canary.sku, canary.every, secret)

    def http_channels(self) -> tuple[HttpChannel, ...]:
        return tuple(
            self._http_channel(channel, channel.submit, ("channels", index))
            for index, channel in enumerate(self._document.channels)
            if channel.kind == "http" and channel.submit
        )

    def own_channels(self) -> tuple[ShopRetry | Drill, ...]:
        """Channels that are neither suppliers nor pools; built after the shop, whose secret signs."""
        found: list[ShopRetry | Drill] = []
        for channel in self._document.channels:
            if channel.kind == "shop_retry" and channel.retry_url is not None:
                self.urls.append(channel.retry_url)
                found.append(ShopRetry(channel.name, channel.retry_url, self._shop_secret))
            elif channel.kind == "sim":
                found.append(Drill(channel.name, tuple(channel.script), channel.delay or 0))
        return tuple(found)

    def keys(self) -> tuple[IngestKey, ...]:
        owners: dict[str, str] = {}
        found_keys: list[IngestKey] = []
        for index, source in enumerate(self._document.sources):
            at: YamlPath = ("sources", index)
            where: YamlPath = (*at, "api_key_file" if source.api_key is None else "api_key")
            found = self._secrets.read_all(at, "api_key", source.api_key, source.api_key_file)
            for number, key in enumerate(found, start=1):
                digest = hashlib.sha256(key.reveal().encode()).hexdigest()
                owner = owners.setdefault(digest, source.name)
                if owner != source.name:
                    message = f"{self._report.name(where)}: the key is that of source '{owner}'"
                    self._report.error(where, message, "give every source a key of its own")
                elif len(key.reveal()) < KEY_LENGTH_MIN:
                    message = f"{self._report.name(where)}: the key is shorter than {KEY_LENGTH_MIN} characters"
                    self._report.warn(where, message, "make one with delivery-monitor init")
                key_id = f"sources/{source.name}/{number}"
                found_keys.append(IngestKey(source.name, digest, key_id=key_id))
        return tuple(found_keys)

    def source_secrets(self) -> tuple[SourceSecrets, ...]:
        owners: dict[Secret, str] = {}
        found: list[SourceSecrets] = []
        for index, source in enumerate(self._document.sources):
            if source.kind != EVENTS:  # its secret is that of another scheme
                continue
            at: YamlPath = ("sources", index)
            where: YamlPath = (*at, "secret_file" if source.secret is None else "secret")
            secrets = self._secrets.read_all(at, "secret", source.secret, source.secret_file)
            for secret in secrets:
                owner = owners.setdefault(secret, source.name)
                if owner != source.name:
                    message = f"{self._report.name(where)}: the secret is that of source '{owner}'"
                    self._report.error(where, message, "give every source a secret of its own")
                self._check_webhook_secret(secret, where)
            if secrets:
                found.append(SourceSecrets(source.name, secrets))
        return tuple(found)

    def _http_channel(self, channel: Channel, submit: Request, at: YamlPath) -> HttpChannel:
        requests = (submit, channel.query, channel.collect, channel.probe)
        self.urls += [request.url for request in requests if request is not None]
        sign = self._signing(channel.sign, (*at, "sign"))
        return HttpChannel(
            name=channel.name,
            submit=request_of(submit),
            query=request_of(channel.query) if channel.query else None,
            answers=rows_of(channel.answer),
            errors={
                code: ErrorRule(retry=row.retry, blame=row.blame)
                for code, row in channel.errors.items()
            },
            sign=sign,
            capability=channel.capability or "opaque",
            settle_ms=channel.settle,
            max_cost_minor=channel.max_cost_minor,
            collect=request_of(channel.collect) if channel.collect else None,
            callback=self._callback(channel.callback, sign, (*at, "callback")),
            probe=probe_of(channel.probe),
            skus=channel.skus,
            quantity_max=channel.quantity_max,
        )

    def _callback(
        self, callback: CallbackKeys | None, sign: Signing, at: YamlPath
    ) -> Callback | None:
        """Without a secret of its own a callback is signed with that of our requests."""
        if callback is None:
            return None
        own = sign if callback.sign is None else self._signing(callback.sign, (*at, "sign"))
        if own.secret is None:
            own = msgspec.structs.replace(own, secret=sign.secret)
        return Callback(own, callback.ref, rows_of(callback.answer), callback.reply)

    def _signing(self, sign: Sign, at: YamlPath) -> Signing:
        is_webhook = sign.kind == "standard_webhooks"
        secret = self._secret(sign.secret, sign.secret_file, at, is_webhook=is_webhook)
        return signing_of(sign, secret)

    def _secret(
        self, inline: str | None, file: str | None, at: YamlPath, *, is_webhook: bool = True
    ) -> Secret | None:
        secret = self._secrets.read(at, "secret", inline, file)
        if secret is not None and is_webhook:
            self._check_webhook_secret(secret, (*at, "secret" if file is None else "secret_file"))
        return secret

    def _check_webhook_secret(self, secret: Secret, where: YamlPath) -> None:
        if _is_broken(secret.reveal()):
            message = (
                f"{self._report.name(where)} starts with whsec_ but what follows is not base64"
            )
            bytes_min = f"of at least {WEBHOOK_SECRET_BYTES_MIN} bytes"
            self._report.warn(where, f"{message} {bytes_min}", "it is used as plain text")

    def _is_good_url(self, url: Secret, at: YamlPath, is_from_file: bool) -> bool:  # noqa: FBT001 - private
        try:
            host_port(url.reveal())
        except ValueError as error:
            where = (*at, "url_file" if is_from_file else "url")
            self._report.error(where, f"{self._report.name(where)} {error}")
            return False
        return True


def _address_id(url: Secret) -> str:
    # 32 bits tell a few hundred addresses apart and give away nothing of a token in the URL.
    return hashlib.sha256(url.reveal().encode()).hexdigest()[:8]


def _is_broken(text: str) -> bool:
    if not text.startswith("whsec_"):
        return False
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return True
    return len(key) < WEBHOOK_SECRET_BYTES_MIN
