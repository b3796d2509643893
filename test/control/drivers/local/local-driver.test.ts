import { expect, test } from 'vitest';
import { SourceRepository } from '../../git/source-repository.ts';
import { get, RUN_SERVER, SERVER, TestDriver, until } from './test-driver.ts';

const APP = { 'run.sh': RUN_SERVER, 'server.cjs': SERVER };

test('a deployment becomes ready on the configured port, at the head of its branch', async () => {
  const { driver, ...rest } = await TestDriver.start();
  expect(rest).toBeDefined();
  expect(driver.state('nobody')).toBeNull();
});

test('runs', async () => {
  const test = await TestDriver.start();
  const repository = new SourceRepository();
  const commit = repository.commit(APP);
  const id = await test.deploy(repository);
  const [origin] = await test.ready(id);
  console.log(
    test.told.map((t) => t.kind + ' ' + t.message),
    test.logged,
  );
  expect(test.driver.state(id)?.resolvedCommit).toBe(commit);
  expect(await get(origin!)).toMatch(/^\d+$/);
  console.log(await test.lines());
  await test.driver.remove(id);
  expect(test.driver.state(id)).toBeNull();
  await until(async () => expect(await get(origin!).catch(() => 'gone')).toBe('gone'));
  console.log(await test.lines());
});
