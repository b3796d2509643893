import type { Provider } from 'oidc-provider';
import { readForm } from './forms.ts';
import { page, signInPage } from './pages.ts';
import { SIGN_IN } from './paths.ts';
import type { Users } from './users.ts';

/** The page where a browser signs in, for the authorization code and device flows. */
export function addSignInPage(provider: Provider, users: Users, realm: string): void {
  provider.use(async (ctx, next) => {
    if (!ctx.path.startsWith(`${SIGN_IN}/`)) {
      await next();
      return;
    }
    ctx.set('Cache-Control', 'no-store');
    ctx.set('Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'; base-uri 'none'");
    try {
      // The signed cookie says which sign-in this is; without it there is none to finish.
      await provider.interactionDetails(ctx.req, ctx.res);
    } catch {
      ctx.status = 400;
      ctx.body = page('We are sorry...', '<p>This sign-in is over, or began in another browser.</p>');
      return;
    }
    let failed = false;
    if (ctx.method === 'POST') {
      const form = await readForm(ctx.req);
      const user = users.authenticate(form.get('username') ?? '', form.get('password') ?? '');
      if (user !== null) {
        const login = { accountId: user.id, acr: '1', amr: ['pwd'] };
        ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, { login }));
        ctx.status = 303;
        return;
      }
      failed = true;
    }
    ctx.body = signInPage(realm, failed);
  });
}
