"""The shop's side of a takeover (see README.md). Needs: pip install pymysql."""
import base64, hmac, json, os, re, time  # noqa: E401, I001 - DM_SECRET is whsec_ and base64
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import pymysql

SHOP, KEY = json.load(open(os.environ["DM_SHOP"], encoding="utf-8")), base64.b64decode(os.environ["DM_SECRET"][6:])
DB = json.loads(os.environ["DM_DB"]) | {"init_command": "SET tx_isolation = 'READ-COMMITTED'"}
CLAIM = "SELECT *, expires_at < UTC_TIMESTAMP(3) AS over_ FROM dm_claim WHERE order_id = :order_id FOR UPDATE"

def answer(run, route, ask):
    order, old = run(SHOP["order"], ask) or {"paid": 0, "delivered": 0, "quantity": 0}, run(CLAIM, ask)
    live = old and not old["is_released"]  # both rows stay locked until the commit, the order's first
    mine = live and (old["claim_id"], old["fence"]) == (ask.get("claim_id"), ask.get("fence"))
    if route == "/claim":
        granted = {"status": "granted", "paid": True, "sku": str(order.get("sku")),
                   "quantity": int(order["quantity"]), "amount_minor": int(order.get("amount_minor", 0))}
        if mine or order["delivered"]:  # the same claim gets the same answer
            return 200, granted if mine else {"status": "already_delivered"}
        is_stale, inherits = old and ask["fence"] <= old["fence"], live and old["over_"] and order["held"]
        if is_stale or not order["paid"] or order["quantity"] < 1 or not (inherits or run(SHOP["take"], ask)):
            return 200, {"status": "denied", "paid": bool(order["paid"])}
        run("REPLACE dm_claim VALUES (:order_id, :claim_id, :fence, LEFT(:expires_at, 19), NULL, 0)", ask)
        return 200, granted
    if route == "/deliver":
        if mine and old["takeover_id"] == ask["takeover_id"]:
            return 200, {"status": "delivered"}  # a repeat
        if order["delivered"] or not mine or not run(SHOP["deliver"], ask | {"goods": "\n".join(ask["goods"])}):
            return (409, {"status": "already_delivered"}) if order["delivered"] else (403, {"status": "refused"})
        run("UPDATE dm_claim SET takeover_id = :takeover_id WHERE order_id = :order_id", ask)
        return 200, {"status": "delivered"}
    if route == "/release":
        if mine and not old["takeover_id"]:
            run("UPDATE dm_claim SET is_released = 1 WHERE order_id = :order_id", ask), run(SHOP["release"], ask)
        return 200, {"status": "released"}
    if not run("SELECT 1 FROM dm_action WHERE action_id = :action_id", ask):  # else a repeat
        if route == "/refund" and (order["delivered"] or (live and not mine) or not run(SHOP["refund"], ask)):
            return (409, {"status": "already_delivered"}) if order["delivered"] else (403, {"status": "refused"})
        run("INSERT dm_action VALUES (:action_id, :order_id, :kind, :body, 0)", ask)
    return 200, {"status": "done"}

class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):  # noqa: N802
        body, head = self.rfile.read(int(self.headers["Content-Length"])), lambda name: self.headers.get(name, "")
        text = f"{head('webhook-id')}.{head('webhook-timestamp')}.".encode() + body
        mac, at = b"v1," + base64.b64encode(hmac.digest(KEY, text, "sha256")), head("webhook-timestamp")
        is_ours = any(hmac.compare_digest(mac, one.encode()) for one in head("webhook-signature").split(" "))
        if not is_ours or not at.isdigit() or abs(time.time() - int(at)) > 300:
            return self.say(401, {"status": "unsigned"})
        with pymysql.connect(**DB) as link, link.cursor(pymysql.cursors.DictCursor) as rows:
            def run(sql, values):  # the row, or how many rows the compare-and-set touched
                count = rows.execute(re.sub(r":([a-z_]+)", r"%(\1)s", sql.replace("%", "%%")), values)
                return rows.fetchone() if sql.startswith("SELECT") else count
            status, said = answer(run, self.path, json.loads(body) | {"kind": self.path[1:], "body": body.decode()})
            link.commit()
        self.say(status, said)

    def say(self, status, said):
        self.send_response(status), self.send_header("Content-Type", "application/json"), self.end_headers()
        self.wfile.write(json.dumps(said).encode())
ThreadingHTTPServer((os.environ.get("DM_HOST", "127.0.0.1"), int(os.environ["DM_PORT"])), Receiver).serve_forever()
