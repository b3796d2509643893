/** Keycloak's names below the realm's own path. */
export const ROUTES = {
  authorization: '/protocol/openid-connect/auth',
  code_verification: '/device',
  device_authorization: '/protocol/openid-connect/auth/device',
  end_session: '/protocol/openid-connect/logout',
  introspection: '/protocol/openid-connect/token/introspect',
  jwks: '/protocol/openid-connect/certs',
  revocation: '/protocol/openid-connect/revoke',
  token: '/protocol/openid-connect/token',
  userinfo: '/protocol/openid-connect/userinfo',
} as const;
export const SIGN_IN = '/login-actions/authenticate';

/** The public client with direct access grants. */
export const PUBLIC_CLIENT = 'istio';
/** The confidential client, which may introspect and nothing else. */
export const CONFIDENTIAL_CLIENT = 'gateway';
