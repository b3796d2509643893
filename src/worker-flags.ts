import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * Flags of V8 for a worker's requests. With any of them on the command line V8 would take nothing of the compiled code
 * that Node brings for its own modules: 40 ms of CPU at every start. So they are set by the first message, which comes
 * when all is loaded. To be run before the worker's program.
 */
process.once('message', () => {
  // After a burst of new tokens V8 would place what requests allocate among the long-lived objects for good: 8 us each.
  setFlagsFromString('--no-allocation-site-pretenuring');
  // For what streams bodies. Contexts get it when they are made, and this one is there already.
  setFlagsFromString('--expose-gc');
  globalThis.gc = runInNewContext('gc') as NonNullable<typeof globalThis.gc>;
});
