// How long each emit holds the event loop, in ms.
const { DeliveryMonitor } = require('../../examples/emitters/delivery_monitor.js');
(async () => {
  const monitor = new DeliveryMonitor(JSON.parse(process.argv[2]));
  const took = [];
  for (let number = 0; number < Number(process.argv[3]); number += 1) {
    const began = process.hrtime.bigint();
    monitor.emit('order.paid', `node ${number}`, { channel: 'auto', amount_minor: 990 });
    took.push(Number(process.hrtime.bigint() - began) / 1e6);
    await new Promise((resume) => setTimeout(resume, 2));
  }
  console.log(JSON.stringify(took));
  process.exit(0);
})();
