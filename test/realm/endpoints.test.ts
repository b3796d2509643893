import { describe, expect, it } from 'vitest';
import { passthroughTarget, resourcesTarget } from '../../src/realm/endpoints.ts';

describe('passthrough targets', () => {
  it.each([
    ['/protocol/openid-connect/token', 'token'],
    ['/protocol/openid-connect/certs', 'certs'],
    ['/.well-known/openid-configuration', 'openid-configuration'],
    ['/protocol/openid-connect/auth', 'auth'],
    ['/protocol/openid-connect/registrations', 'auth'],
    ['/protocol/openid-connect/login-status-iframe.html', 'auth'],
    ['/protocol/openid-connect/login-status-iframe.html/init', 'auth'],
    ['/protocol/openid-connect/3p-cookies/step1.html', 'auth'],
    ['/login-actions/authenticate', 'auth'],
    ['/login-actions/required-action', 'auth'],
    ['/login-actions/first-broker-login', 'auth'],
    ['/broker/github/login', 'auth'],
    ['/broker/github/endpoint', 'auth'],
    ['/broker/saml/endpoint/clients/app', 'auth'],
    ['/broker/after-first-broker-login', 'auth'],
    ['/protocol/openid-connect/logout', 'logout'],
    ['/protocol/openid-connect/logout/logout-confirm', 'logout'],
    ['/protocol/openid-connect/userinfo', 'userinfo'],
    ['/protocol/openid-connect/auth/device', 'device'],
    ['/device', 'device'],
  ])('%s is %s', (path, endpoint) => {
    expect(passthroughTarget(path)).toBe(endpoint);
  });

  it.each([
    '',
    '/',
    '/account',
    '/clients-registrations/default',
    '/protocol/saml',
    '/protocol/openid-connect',
    '/protocol/openid-connect/token/',
    '/protocol/openid-connect/token/introspect',
    '/protocol/openid-connect/revoke',
    '/protocol/openid-connect/ext/par/request',
    '/PROTOCOL/openid-connect/token',
    '/protocol/openid-connect/authx',
    '/login-actions',
    '/login-actions/',
    '/login-actions/a/b',
    '/login-actions/%2e%2e',
    '/broker/github/token',
    '/broker/github/link',
    '/broker//login',
    '/devices',
    '/constructor',
    '/resources/x',
  ])('%s is none', (path) => {
    expect(passthroughTarget(path)).toBeNull();
  });
});

describe('theme files', () => {
  const url = 'http://keycloak:8080/auth/realms/demo';

  it("come from the Keycloak's root, outside the realm's folder", () => {
    expect(resourcesTarget('/auth/resources/1a2b/login/theme.css', url)).toBe(
      'http://keycloak:8080/auth/resources/1a2b/login/theme.css',
    );
    expect(resourcesTarget('/auth/resources/x.js', 'https://id.example.com/realms/demo')).toBe(
      'https://id.example.com/resources/x.js',
    );
  });

  it('are nothing else, and nothing where the root cannot be told', () => {
    for (const path of [
      '/auth/resources',
      '/auth/resources/',
      '/auth/resourcesx/a',
      '/resources/a',
      '/auth/admin',
    ]) {
      expect(resourcesTarget(path, url)).toBeNull();
    }
    expect(resourcesTarget('/auth/resources/a', 'http://keycloak:8080/elsewhere')).toBeNull();
  });
});
