// Does what standard input says with the emitter, and answers a line per step.
const { DeliveryMonitor } = require('../../examples/emitters/delivery_monitor.js');
(async () => {
  let monitor = null;
  for await (const line of require('readline').createInterface({ input: process.stdin })) {
    const said = JSON.parse(line);
    if (!monitor) monitor = new DeliveryMonitor(said);
    else console.log(JSON.stringify(await monitor[said[0]](...said[1])));
  }
  process.exit(0);
})();
