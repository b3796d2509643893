/** So many bytes of bodies may pass before the buffers that held them are collected. */
const MOST = 16 * 1024 * 1024;

let passed = 0;

/**
 * To be told of every piece of a body that passes, in bytes. V8 sees only the few bytes by which a buffer stands in its
 * heap, so that a stream hardly ever fills the young generation: dead buffers would wait until there are 64 MiB of them
 * and then cost a collection of the whole heap. One of the young generation takes a millisecond and finds them too.
 * Needs `--expose-gc`; without it nothing happens.
 */
export function bodyPassed(bytes: number): void {
  passed += bytes;
  if (passed < MOST) return;
  passed = 0;
  globalThis.gc?.({ type: 'minor' });
}
