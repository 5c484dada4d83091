/**
 * Tells Delivery Monitor what happens to orders. One file, Node 16 or newer, nothing to install.
 *
 *     const monitor = new DeliveryMonitor({ url: 'http://127.0.0.1:8080', key: 'dm_…', spool: '/var/spool/shop/events.ndjson' });
 *     monitor.emit('order.paid', orderId, { channel: 'auto', sku: 'steam-50', amount_minor: 5000 });
 *
 * emit() appends a line to the spool and returns; what is there is sent in the next turn, all of it at once, and
 * again after retry_ms; `await monitor.flush()` tells whether all is sent. Nothing throws. Without a url the spool
 * is only written: the monitor can read it (sources[].tail).
 * Node has no file locks: whoever sends renames the spool first, and only one can. A file is deleted when nothing
 * was added for SETTLE_MS after it was sent; what a killed process leaves is sent again under the same ids.
 */
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const path = require('path');

const FIELDS = ('id source time traceparent channel sku quantity amount_minor currency provider payment_id customer_tier ' +
  'customer_hash speed fulfilment region attempt reason promise_s meaning outcome takeover_id').split(' ');
const [LINE_MAX, BATCH_LINES, BATCH_BYTES] = [16384, 500, 262144]; // an event; a request
const [SETTLE_MS, ORPHAN_MS] = [100, 5000];
const pause = (ms) => new Promise((resume) => setTimeout(resume, ms));

class DeliveryMonitor {
  constructor(set) {
    this.set = { url: '', key: '', secret: '', source: '', spool: '', timeout_ms: 180, retry_ms: 10000, spool_max: 2 ** 26, ...set };
    this.own = new Map(); // file that is being sent → how much of it was
    [this.notBefore, this.sending, this.timer] = [0, null, null];
  }

  /** Notes an event; true if it is in the spool. Only known fields are kept: card text never leaves the shop. */
  emit(type, order, fields = {}) {
    try {
      if (!String(order ?? '').trim() || Number.isNaN(order)) return false; // nobody could find it again
      const event = { type, order_id: String(order), id: crypto.randomUUID(), time: new Date().toISOString() };
      if (this.set.source) event.source = this.set.source;
      for (const name of FIELDS) if (fields[name] !== undefined) event[name] = fields[name];
      const line = Buffer.from(JSON.stringify(event));
      const isKept = line.length <= LINE_MAX && this.append(this.set.spool, line);
      if (this.set.url && !this.sending) this.sending = pause(0).then(() => this.drain());
      return isKept;
    } catch (error) {
      return false;
    }
  }

  /** Sends what is in the spool; resolves to true if nothing is left. Never rejects. */
  async flush() {
    await this.sending;
    this.sending = this.set.url ? this.drain() : Promise.resolve(false);
    return this.sending;
  }

  /** Adds a line to a file. One that ends within a line was left so by a kill: that line is closed first. */
  append(name, line) {
    const file = fs.openSync(name, 'a+', 0o600);
    try {
      const { size } = fs.fstatSync(file);
      const last = Buffer.alloc(1, '\n');
      if (size) fs.readSync(file, last, 0, 1, size - 1);
      const text = Buffer.concat([Buffer.from(last[0] === 10 ? '' : '\n'), line, Buffer.from('\n')]);
      return size < this.set.spool_max && fs.writeSync(file, text) === text.length;
    } finally {
      fs.closeSync(file);
    }
  }

  async drain() {
    let isEmpty = false;
    try {
      while (Date.now() >= this.notBefore && !isEmpty) {
        const name = `${this.set.spool}.${crypto.randomUUID()}.sending`;
        if (!this.own.size && fs.existsSync(this.set.spool)) this.own.set(name, fs.renameSync(this.set.spool, name) || 0);
        const files = this.files();
        for (const file of files.mine) if (!(await this.sendFile(file))) throw (this.notBefore = Date.now() + this.set.retry_ms);
        isEmpty = !fs.existsSync(this.set.spool) && !this.files().all.length;
        if (files.all.length && !files.mine.length) break; // another process is sending them
      }
    } catch (error) { // not sent, or another process was faster, or the folder is gone: later
    }
    this.sending = null;
    clearTimeout(this.timer);
    if (!isEmpty) this.timer = setTimeout(() => this.flush(), Math.max(ORPHAN_MS / 5, this.notBefore - Date.now())).unref();
    return isEmpty;
  }

  /** Files that wait to be sent: all of them, and those that are ours or were left by a process that is gone. */
  files() {
    const [folder, base] = [path.dirname(this.set.spool), path.basename(this.set.spool)];
    const names = fs.readdirSync(folder).filter((one) => one.startsWith(`${base}.`) && one.endsWith('.sending'));
    const all = names.map((one) => path.join(folder, one));
    const isLeft = (one) => Date.now() - fs.statSync(one).mtimeMs > ORPHAN_MS;
    return { all, mine: all.filter((one) => this.own.has(one) || isLeft(one)) };
  }

  /** Sends one file and deletes it; true if that is done. */
  async sendFile(name) {
    for (;;) {
      const at = this.own.get(name) || 0;
      const text = fs.readFileSync(name).subarray(at, at + BATCH_BYTES);
      const ends = [];
      for (let end = text.indexOf(10); end >= 0 && ends.length < BATCH_LINES; end = text.indexOf(10, end + 1)) ends.push(end + 1);
      const chunk = ends.length ? text.subarray(0, ends[ends.length - 1]) : text; // a line without end will never have one
      const lines = chunk.toString().split('\n').filter((line) => line.trim());
      if (lines.length && !(await this.send(lines))) return false;
      this.own.set(name, at + chunk.length);
      if (fs.statSync(name).size > at + chunk.length) continue;
      await pause(SETTLE_MS);
      if (fs.statSync(name).size > at + chunk.length) continue;
      fs.unlinkSync(name);
      return this.own.delete(name);
    }
  }

  /** Posts lines; true if the monitor has them, or refuses them for what they are: then they are in SPOOL.rejected. */
  async send(lines) {
    const said = await this.post(`${lines.join('\n')}\n`).then(JSON.parse).catch(() => ({}));
    const isRefused = String(said.type).startsWith('urn:delivery-monitor:') && said.status === 400;
    if (!isRefused && said.accepted === undefined) return false; // overload, a wrong key, or not the monitor at all: later
    const bad = isRefused ? [...lines.keys()] : said.rejected.map((one) => one.index);
    for (const index of bad) this.append(`${this.set.spool}.rejected`, Buffer.from(lines[index]));
    return true;
  }

  /** The body of the answer; rejects after timeout_ms without one. */
  post(body) {
    return new Promise((resolve, reject) => {
      const url = new URL(this.set.url);
      url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/events`;
      const headers = { 'Content-Type': 'application/x-ndjson', 'Content-Length': Buffer.byteLength(body), ...this.proof(body) };
      const request = require(url.protocol.slice(0, -1)).request(url, { method: 'POST', headers, agent: false }, (answer) => {
        const parts = [];
        answer.on('data', (part) => parts.push(part)).on('end', () => resolve(Buffer.concat(parts).toString())).on('error', reject);
      });
      const alarm = setTimeout(() => request.destroy(new Error('timeout')), this.set.timeout_ms);
      request.on('error', reject).on('close', () => { clearTimeout(alarm); reject(new Error('closed')); }).end(body);
    });
  }

  /** A key, or a signature as Standard Webhooks ask for. */
  proof(body) {
    const { key, secret } = this.set;
    if (!secret) return key ? { Authorization: `Bearer ${key}` } : {};
    const raw = secret.startsWith('whsec_') ? Buffer.from(secret.slice(6), 'base64') : secret;
    const [id, at] = [`msg_${crypto.createHash('md5').update(body).digest('hex')}`, Math.floor(Date.now() / 1000)];
    const mac = crypto.createHmac('sha256', raw).update(`${id}.${at}.${body}`).digest('base64');
    return { 'webhook-id': id, 'webhook-timestamp': at, 'webhook-signature': `v1,${mac}` };
  }
}
module.exports = { DeliveryMonitor };
