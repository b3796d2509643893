import type { Contender, Running, Work } from '../contenders/contender.ts';
import type { SigningKey } from '../support/tokens.ts';
import { faultsOf } from './correctness.ts';

/** Starts the contender. Rejects when it does not answer rightly: its figures would mean nothing. */
export async function startProven(contender: Contender, work: Work, key: SigningKey): Promise<Running> {
  const running = await contender.start(work);
  const faults = await faultsOf(running.port, contender.checksTokens, key, work.issuer);
  if (faults.length > 0) {
    await running.stop();
    throw new Error(`${contender.name} answers wrongly: ${faults.join('; ')}`);
  }
  return running;
}

/** The same, calls `use` with it and stops it again, whatever happens. */
export async function withContender<T>(
  contender: Contender,
  work: Work,
  key: SigningKey,
  use: (running: Running) => Promise<T>,
): Promise<T> {
  const running = await startProven(contender, work, key);
  try {
    return await use(running);
  } finally {
    await running.stop();
  }
}
