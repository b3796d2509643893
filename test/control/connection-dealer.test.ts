import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

import { expect, onTestFinished, test } from 'vitest';

import { ConnectionDealer, type Taker } from '../../src/control/connection-dealer.ts';

/** A taker that keeps what it is offered, and tells the dealer only when the test says so. */
class Keeper implements Taker {
  readonly offers: Socket[] = [];
  #tell: () => void = () => undefined;

  offer(socket: Socket): void {
    this.offers.push(socket);
    this.#tell();
  }

  async offered(count: number): Promise<void> {
    while (this.offers.length < count) await new Promise<void>((resolve) => (this.#tell = resolve));
  }
}

async function start(): Promise<{ dealer: ConnectionDealer; port: number; join: () => Promise<Socket> }> {
  const dealer = new ConnectionDealer((error) => {
    throw error;
  });
  onTestFinished(() => dealer.close());
  const port = await dealer.listen({ host: '127.0.0.1', port: 0 });
  const join = async (): Promise<Socket> => {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    onTestFinished(() => void socket.destroy());
    await once(socket, 'connect');
    return socket;
  };
  return { dealer, port, join };
}

test('connections are dealt out in turn to those that took the last one', async () => {
  const { dealer, join } = await start();
  const [first, second] = [new Keeper(), new Keeper()];
  dealer.add(first);
  dealer.add(second);

  for (let i = 1; i <= 3; i++) {
    await join();
    await first.offered(i);
    dealer.took(first);
    await join();
    await second.offered(i);
    dealer.took(second);
  }

  expect([first.offers.length, second.offers.length]).toEqual([3, 3]);
});

test('one that does not take what it was offered gets no more, and the others all of it', async () => {
  const { dealer, join } = await start();
  const [stuck, working] = [new Keeper(), new Keeper()];
  dealer.add(stuck);
  dealer.add(working);

  await join();
  await stuck.offered(1);
  for (let i = 1; i <= 3; i++) {
    await join();
    await working.offered(i);
    dealer.took(working);
  }

  expect(stuck.offers).toHaveLength(1);
});

test('without a taker connections are accepted and wait for one', async () => {
  const { dealer, join } = await start();
  await join();
  await join();
  const taker = new Keeper();

  dealer.add(taker);
  await taker.offered(1);
  dealer.took(taker);
  await taker.offered(2);

  expect(taker.offers).toHaveLength(2);
});

test('what was offered to one that died goes to another, untouched', async () => {
  const { dealer, join } = await start();
  const [dying, other] = [new Keeper(), new Keeper()];
  dealer.add(dying);
  const client = await join();
  client.write('hello');
  await dying.offered(1);
  dealer.add(other);

  dealer.remove(dying);
  await other.offered(1);

  const [socket] = other.offers;
  expect(socket).toBe(dying.offers[0]);
  expect(socket!.bytesRead).toBe(0);
  socket!.resume();
  const [bytes] = (await once(socket!, 'data')) as [Buffer];
  expect(bytes.toString()).toBe('hello');
});

test('one that died is offered nothing more', async () => {
  const { dealer, join } = await start();
  const [dead, living] = [new Keeper(), new Keeper()];
  dealer.add(dead);
  dealer.remove(dead);
  dealer.add(living);

  await join();
  await living.offered(1);

  expect(dead.offers).toEqual([]);
});

test('a closed one refuses connections and closes those that wait', async () => {
  const { dealer, port, join } = await start();
  const waiting = await join();
  const closed = once(waiting, 'close');
  // Accepted by this process too, not only by the kernel.
  const taker = new Keeper();
  dealer.add(taker);
  await taker.offered(1);
  dealer.remove(taker);

  dealer.close();

  waiting.resume();
  await closed;
  const late = connect(port, '127.0.0.1');
  const [error] = (await once(late, 'error')) as [NodeJS.ErrnoException];
  expect(error.code).toBe('ECONNREFUSED');
});

test('binding fails with the error of the system', async () => {
  const { port } = await start();
  const told: Error[] = [];
  const second = new ConnectionDealer((error) => told.push(error));

  await expect(second.listen({ host: '127.0.0.1', port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
  expect(told).toEqual([]);
});
