import { randomUUID } from 'node:crypto';
import type { Provider, TokenEndpointGrantContext } from 'oidc-provider';
import { ANSWERS, AnswerError, invalidScopes } from './answers.ts';
import { KNOWN_SCOPES, scopeClaim } from './tokens.ts';
import type { Users } from './users.ts';

interface PasswordParameters {
  username?: string;
  password?: string;
}

/** The Resource Owner Password Credentials grant (RFC 6749 section 4.3), which Keycloak calls direct access. */
export function registerPasswordGrant(provider: Provider, users: Users): void {
  provider.registerGrantType<PasswordParameters>(
    'password',
    async (ctx: TokenEndpointGrantContext<PasswordParameters>) => {
      const { client, params } = ctx.oidc;
      if (!params.username) throw new AnswerError(ANSWERS.noUsername);
      const requested = new Set(params.scope?.split(' ').filter((scope) => scope !== ''));
      const known = [...requested].every((scope) => KNOWN_SCOPES.includes(scope));
      if (!known) throw new AnswerError(invalidScopes(params.scope ?? ''));
      const user = users.authenticate(params.username, params.password ?? '');
      if (user === null) throw new AnswerError(ANSWERS.wrongPassword);

      const scope = scopeClaim(requested);
      const grant = new provider.Grant({ clientId: client.clientId, accountId: user.id });
      grant.addOIDCScope(scope);
      ctx.oidc.entity('Grant', grant);
      const session = {
        client,
        accountId: user.id,
        grantId: await grant.save(),
        gty: 'password',
        scope,
        sid: randomUUID(),
      };
      const refresh = new provider.RefreshToken(session);
      ctx.oidc.entity('RefreshToken', refresh);
      const access = new provider.AccessToken(session);
      ctx.oidc.entity('AccessToken', access);
      ctx.body = { refresh_token: await refresh.save(), access_token: await access.save() };
    },
    ['username', 'password', 'scope'],
  );
}
