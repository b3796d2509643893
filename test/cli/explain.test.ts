import { expect, test } from 'vitest';
import type { ExplainQuestion } from '../../src/contracts/explain.ts';
import { start } from '../admin/support/start.ts';
import { ROOT, runRealmgate } from './run-realmgate.ts';

async function explaining() {
  const questions: ExplainQuestion[] = [];
  const { url } = await start({
    gateway: {
      routes: () => [],
      realms: () => [],
      explain: (question) => {
        questions.push(question);
        const path = { name: 'path', ok: true, detail: 'It is canonical' };
        return Promise.resolve(
          question.token === null
            ? {
                allowed: false,
                status: 401,
                code: 'token_missing',
                checks: [path, { name: 'token', ok: false, detail: 'There is none' }],
              }
            : { allowed: true, status: 200, code: null, checks: [path] },
        );
      },
    },
  });
  const run = (args: readonly string[], input?: string) =>
    runRealmgate(['explain', ...args], ROOT, { REALMGATE_TOKEN: 'admin', REALMGATE_ADMIN_URL: url }, input);
  return { questions, run };
}

test('shows every check, the verdict, and exits 1 when the answer is no', async () => {
  const { questions, run } = await explaining();
  expect(await run(['/hello', '-X', 'POST', '-H', 'Host: a.example', '-H', 'X-A: 1:2'])).toEqual({
    code: 1,
    out: '✓ path   It is canonical\n✗ token  There is none\nPOST /hello would be answered 401 token_missing\n',
    err: '',
  });
  expect(questions).toEqual([
    { token: null, method: 'POST', path: '/hello', headers: { Host: 'a.example', 'X-A': '1:2' } },
  ]);
});

test('takes the token from standard input, or the one of the command itself', async () => {
  const { questions, run } = await explaining();
  expect(await run(['/hello', '--bearer', '-'], 'sesame\n')).toMatchObject({
    code: 0,
    out: '✓ path  It is canonical\nGET /hello would be forwarded\n',
  });
  const json = await run(['/hello', '--own-token', '--json']);
  expect(JSON.parse(json.out)).toMatchObject({ allowed: true });
  expect(questions.map(({ token }) => token)).toEqual(['sesame', 'admin']);
});

test.each([[['hello']], [['/hello', '--bearer', 'f', '--own-token']], [['/hello', '-H', 'x']]])(
  '%j is wrong usage',
  async (args) => {
    const { run } = await explaining();
    expect(await run(args)).toMatchObject({ code: 64, out: '' });
  },
);
