import { createHash } from 'node:crypto';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { expect, test } from 'vitest';
import { ask, post, refresh, startRealm } from './harness.ts';
import type { Answer } from './harness.ts';

/** As much of a browser as a sign-in needs: cookies, and addresses relative to where it is. */
class Browser {
  readonly #cookies = new Map<string, { value: string; path: string }>();
  location = '';

  async open(url: string, form?: Record<string, string>): Promise<Answer> {
    this.location = new URL(url, this.location || undefined).href;
    const { pathname } = new URL(this.location);
    const cookie = [...this.#cookies]
      .filter(([, { path }]) => pathname.startsWith(path))
      .map(([name, { value }]) => `${name.split('@')[0]}=${value}`)
      .join('; ');
    const answer = await ask(this.location, {
      headers: { cookie, accept: 'text/html' },
      ...(form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) }),
    });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      const path = /; path=([^;]+)/i.exec(line)?.[1] ?? '/';
      this.#cookies.set(`${name}@${path}`, { value, path });
    }
    return answer;
  }

  /** Follows redirections as long as they stay with the realm. */
  async follow(answer: Answer, origin: string): Promise<{ answer: Answer; location: string | null }> {
    const location = answer.headers.get('location');
    if (location === null || new URL(location, this.location).origin !== origin) return { answer, location };
    return this.follow(await this.open(location), origin);
  }
}

const verifier = 'a-verifier-that-is-long-enough-for-PKCE-to-take-it';
const challenge = createHash('sha256').update(verifier).digest('base64url');

const authorization = (url: string, redirect: string) =>
  `${url}/protocol/openid-connect/auth?${new URLSearchParams({
    client_id: 'istio',
    response_type: 'code',
    redirect_uri: redirect,
    scope: 'openid',
    state: 'here',
    nonce: 'once',
    code_challenge: challenge,
    code_challenge_method: 'S256',
  }).toString()}`;

test('a browser signs in on the page and a program redeems the code, once', async () => {
  const realm = await startRealm();
  const { origin } = new URL(realm.url);
  const browser = new Browser();
  const redirect = 'http://127.0.0.1:4711/callback';
  const page = await browser.follow(await browser.open(authorization(realm.url, redirect)), origin);
  expect(page.answer.text).toContain('Sign in to demo');
  expect(page.answer.headers.get('content-security-policy')).toContain("default-src 'none'");
  const failed = await browser.open('', { username: 'alice', password: 'x' });
  expect(failed.text).toContain('Invalid username or password');

  const done = await browser.open('', { username: 'alice', password: 'wonderland' });
  const { location } = await browser.follow(done, origin);
  const back = new URL(location!);
  expect(back.origin + back.pathname).toBe(redirect);
  expect(back.searchParams.get('state')).toBe('here');
  expect(back.searchParams.get('iss')).toBe(realm.url);

  const code = { grant_type: 'authorization_code', code: back.searchParams.get('code')! };
  const redeem = () =>
    post(realm, 'token', { ...code, client_id: 'istio', redirect_uri: redirect, code_verifier: verifier });
  const tokens = await redeem();
  expect(tokens).toMatchObject({
    status: 200,
    json: { token_type: 'Bearer', scope: 'openid email profile' },
  });
  const keys = createRemoteJWKSet(new URL(`${realm.url}/protocol/openid-connect/certs`));
  const { payload } = await jwtVerify(String(tokens.json['id_token']), keys, { audience: 'istio' });
  expect(payload).toMatchObject({ nonce: 'once', typ: 'ID', auth_time: expect.any(Number) as number });
  expect(await refresh(realm, tokens.json['refresh_token'])).toMatchObject({ status: 200 });

  expect(await redeem()).toMatchObject({ status: 400, json: { error: 'invalid_grant' } });
  expect(await refresh(realm, tokens.json['refresh_token'])).toMatchObject({ status: 400 });
});

test('a code is sent to pages of this machine only', async () => {
  const realm = await startRealm();
  const hostile = [
    'https://evil.example/',
    'http://127.0.0.1.evil.example/',
    'http://127.0.0.1@evil.example/',
    'javascript:alert(1)',
  ];
  for (const redirect of hostile) {
    const answer = await ask(authorization(realm.url, redirect), { headers: { accept: 'text/html' } });
    expect(answer).toMatchObject({ status: 400 });
    expect(answer.headers.get('location')).toBeNull();
    expect(answer.text).not.toContain('<script');
  }
});

test('a device signs in with the code that a browser confirms', async () => {
  const realm = await startRealm();
  const { origin } = new URL(realm.url);
  const started = (await post(realm, 'auth/device', { client_id: 'istio', scope: 'openid' })).json;
  const poll = () =>
    post(realm, 'token', {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      client_id: 'istio',
      device_code: String(started['device_code']),
    });
  expect(await poll()).toMatchObject({ status: 400, json: { error: 'authorization_pending' } });

  const browser = new Browser();
  const field = (text: string, name: string) =>
    new RegExp(`name="${name}" value="([^"]*)"`).exec(text)?.[1] ?? '';
  const asked = await browser.open(String(started['verification_uri_complete']));
  const confirm = await browser.open(String(started['verification_uri']), {
    xsrf: field(asked.text, 'xsrf'),
    user_code: String(started['user_code']),
  });
  const confirmed = await browser.open('', {
    xsrf: field(confirm.text, 'xsrf'),
    user_code: String(started['user_code']),
    confirm: 'yes',
  });
  await browser.follow(confirmed, origin);
  const { answer } = await browser.follow(
    await browser.open('', { username: 'alice', password: 'wonderland' }),
    origin,
  );
  expect(answer.text).toContain('Device signed in');
  expect(await poll()).toMatchObject({ status: 200, json: { token_type: 'Bearer' } });
});

test('the sign-in page is worth nothing without the cookie of the one who began', async () => {
  const realm = await startRealm();
  const url = `${realm.url}/login-actions/authenticate/anything`;
  const page = await ask(url);
  expect(page.status).toBe(400);
  expect(page.text).not.toContain('<form');
  const answer = await ask(url, {
    method: 'POST',
    body: new URLSearchParams({ username: 'alice', password: 'wonderland' }),
  });
  expect(answer.status).toBe(400);
});
