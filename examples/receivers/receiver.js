// The shop's side of a takeover (see README.md). Needs Node 18 with npm's mysql.
const [crypto, fs, http, mysql] = ["crypto", "fs", "http", "mysql"].map((name) => require(name));
const { DM_SHOP, DM_SECRET, DM_DB, DM_HOST = "127.0.0.1", DM_PORT } = process.env;
const [shop, key] = [JSON.parse(fs.readFileSync(DM_SHOP, "utf8")), Buffer.from(DM_SECRET.replace("whsec_", ""), "base64")];
const claimed = "SELECT *, expires_at < UTC_TIMESTAMP(3) AS over_ FROM dm_claim WHERE order_id = :order_id FOR UPDATE";

function isSigned(headers, body) {
  const [id, at, signatures] = ["id", "timestamp", "signature"].map((name) => headers["webhook-" + name] || "");
  const mac = Buffer.from("v1," + crypto.createHmac("sha256", key).update(`${id}.${at}.`).update(body).digest("base64"));
  const isOurs = (one) => one.length === mac.length && crypto.timingSafeEqual(one, mac);
  return /^\d+$/.test(at) && Math.abs(Date.now() / 1000 - at) <= 300 && signatures.split(" ").map((one) => Buffer.from(one)).some(isOurs);
}

async function answer(run, route, ask) {
  const order = (await run(shop.order, ask)) || // both rows stay locked until the commit, the order's first
    { paid: 0, delivered: 0, quantity: 0, sku: "", amount_minor: 0 };
  const old = await run(claimed, ask);
  const [live, mine] = [old && !old.is_released, old && !old.is_released && old.claim_id === ask.claim_id && old.fence === ask.fence];
  if (route === "/claim") {
    const granted = { status: "granted", paid: true, sku: String(order.sku), quantity: Number(order.quantity), amount_minor: Number(order.amount_minor) };
    if (mine || order.delivered) return [200, mine ? granted : { status: "already_delivered" }]; // the same claim, the same answer
    const isFree = !(old && ask.fence <= old.fence) && order.paid && order.quantity > 0; // a claim that is over is inherited:
    if (!isFree || !((live && old.over_ && order.held) || (await run(shop.take, ask)))) return [200, { status: "denied", paid: !!order.paid }];
    return await run("REPLACE dm_claim VALUES (:order_id, :claim_id, :fence, LEFT(:expires_at, 19), NULL, 0)", ask), [200, granted];
  }
  if (route === "/deliver") {
    if (mine && old.takeover_id === ask.takeover_id) return [200, { status: "delivered" }]; // a repeat
    if (order.delivered || !mine || !(await run(shop.deliver, { ...ask, goods: ask.goods.join("\n") })))
      return order.delivered ? [409, { status: "already_delivered" }] : [403, { status: "refused" }];
    await run("UPDATE dm_claim SET takeover_id = :takeover_id WHERE order_id = :order_id", ask);
    return [200, { status: "delivered" }];
  }
  if (route === "/release") {
    if (mine && !old.takeover_id) await run("UPDATE dm_claim SET is_released = 1 WHERE order_id = :order_id", ask), await run(shop.release, ask);
    return [200, { status: "released" }];
  }
  if (await run("SELECT 1 FROM dm_action WHERE action_id = :action_id", ask)) return [200, { status: "done" }]; // a repeat
  if (route === "/refund" && (order.delivered || (live && !mine) || !(await run(shop.refund, ask))))
    return order.delivered ? [409, { status: "already_delivered" }] : [403, { status: "refused" }];
  await run("INSERT dm_action VALUES (:action_id, :order_id, :kind, :body, 0)", ask);
  return [200, { status: "done" }];
}

async function handle(route, body) {
  const link = mysql.createConnection({ ...JSON.parse(DM_DB), charset: "utf8mb4" });
  const run = (text, values = {}) => new Promise((done, fail) => link.query( // the row, or how many rows were touched
    text.replace(/:([a-z_]+)/g, (_, name) => mysql.escape(values[name])),
    (error, found) => (error ? fail(error) : done(Array.isArray(found) ? found[0] : found.affectedRows))));
  try {
    await run("SET tx_isolation = 'READ-COMMITTED'"), await run("START TRANSACTION");
    const said = await answer(run, route, { ...JSON.parse(body), kind: route.slice(1), body: body.toString() });
    await run("COMMIT");
    return said;
  } finally { link.destroy(); } } // whatever was not committed never happened

http.createServer(async (request, response) => {
  const body = Buffer.concat(await request.toArray());
  const [status, said] = isSigned(request.headers, body) ? await handle(request.url, body).catch(() => [503, {}]) : [401, {}];
  response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(said));
}).listen(Number(DM_PORT), DM_HOST);
