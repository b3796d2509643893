import type { Provider } from 'oidc-provider';

/** What Koa keeps a body in. */
interface Body {
  get(): unknown;
  set(value: unknown): void;
}

/**
 * Makes text of JSON bodies before Koa sees them: it would first ask whether they are a `ReadableStream` or a `Response`,
 * and these names load web streams and undici, 30 ms before the first answer and 12 MiB. Until the answer is sent, a body
 * reads as what it was set to, which the provider changes. To be called before anything else uses the provider.
 */
export function sendJsonAsText(provider: Provider): void {
  const { response } = provider;
  const body = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(response), 'body') as Body;
  const values = new WeakMap<typeof response, object>();
  Object.defineProperty(response, 'body', {
    get(this: typeof response) {
      return values.get(this) ?? body.get.call(this);
    },
    set(this: typeof response, value: unknown) {
      values.delete(this);
      if (!isPlain(value)) {
        body.set.call(this, value);
        return;
      }
      if (!/\bjson\b/i.test(this.type)) this.type = 'json';
      body.set.call(this, JSON.stringify(value));
      values.set(this, value);
    },
  });
  provider.use(async ({ response: answer }, next) => {
    await next();
    const value = values.get(answer);
    if (value === undefined) return;
    values.delete(answer);
    body.set.call(answer, JSON.stringify(value));
  });
}

function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
