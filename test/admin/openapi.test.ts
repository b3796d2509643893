import { Validator } from '@seriousme/openapi-schema-validator';
import { describe, expect, it } from 'vitest';
import { exerciseOpenApi } from '../support/exercise-openapi.ts';
import { service, start } from './support/start.ts';

describe('the OpenAPI document', () => {
  it('needs no token, and is valid', async () => {
    const { call } = await start();
    const response = await call(null, 'GET', '/api/openapi.json');
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json']);
    const document = (await response.json()) as Record<string, unknown>;
    const validator = new Validator();
    expect(await validator.validate(structuredClone(document))).toEqual({ valid: true });
    expect(validator.version).toBe('3.1');
  });

  it('tells nothing of the installation', async () => {
    const { call } = await start();
    expect(await (await call(null, 'GET', '/api/openapi.json')).text()).not.toMatch(
      /boss|maker|looker|demo"|127\.0\.0\.1/,
    );
  });

  it('holds for every operation, whatever it is sent', async () => {
    const { url, control } = await start();
    for (const name of ['a', 'b', 'c', 'd']) {
      const { id } = await control.createService(service(name), 'x');
      control.append(id, 'one', 'two');
      control.putSecret(name, { data: { key: 'value' } }, 'x');
      control.putEnvironment(name, {}, 'x');
    }
    const exercised = await exerciseOpenApi({ baseUrl: url, token: 'admin', runs: 8 });
    expect(exercised.size).toBe(29);
    for (const [id, statuses] of exercised) {
      expect([id, [...statuses].some((status) => status < 300)]).toEqual([id, true]);
      expect([id, [...statuses].some((status) => status >= 400)]).toEqual([id, true]);
    }
  });
});
