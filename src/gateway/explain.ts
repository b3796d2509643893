import type { ExplainCheck, Explanation, ExplainQuestion } from '../contracts/explain.ts';
import { authorityOf } from '../contracts/listen-url.ts';
import type { Principal } from '../contracts/principal.ts';
import type { Route } from '../contracts/settings.ts';
import { Refusal } from '../errors.ts';
import { authorize } from './authorize.ts';
import { type CanonicalTarget, canonicalTarget } from './canonical-path.ts';
import { checkPreflight, isPreflight } from './cors.ts';
import { readCredential } from './credential.ts';
import { imagineHeaders } from './explain-request.ts';
import { explainToken, failedCheck } from './explain-token.ts';
import { checkBodyLength } from './forward/body-length.ts';
import { noReplicaReady } from './forward/refusals.ts';
import type { UpstreamGroup } from './forward/upstream-group.ts';
import { asksForUpgrade, isWebSocketHandshake } from './forward/web-socket-handshake.ts';
import type { Gateway, Service } from './gateway.ts';
import { checkMethod, findDestination, isRealmPath } from './passthrough.ts';
import { requireForm } from './read-form.ts';
import { readHead, type RequestHead } from './request-head.ts';
import { asRefusal } from './respond.ts';
import { isTokenPreflight } from './token-endpoint.ts';

/**
 * What the gateway would do with an HTTP/1.1 request that comes straight from a client, step by step and by the same
 * functions as in `handleRequest`, up to the first step that fails. Nothing is forwarded, no limit is counted, no
 * service is woken, and the token is neither kept nor logged.
 */
export async function explain(gateway: Gateway, question: ExplainQuestion): Promise<Explanation> {
  const explainer = new Explainer(gateway, question);
  try {
    const status = await explainer.run();
    return { allowed: true, status, code: null, checks: explainer.checks };
  } catch (error) {
    const refusal = asRefusal(error);
    if (refusal !== error) gateway.log.error({ err: error }, 'A request could not be explained');
    const name = failedCheck(error) ?? explainer.step;
    const { status, code, message: detail } = refusal;
    return { allowed: false, status, code, checks: [...explainer.checks, { name, ok: false, detail }] };
  }
}

class Explainer {
  readonly checks: ExplainCheck[] = [];
  /** Name of the check in progress. */
  step = 'request';
  readonly #gateway: Gateway;
  readonly #question: ExplainQuestion;

  constructor(gateway: Gateway, question: ExplainQuestion) {
    this.#gateway = gateway;
    this.#question = question;
  }

  /** The status of the answer where nothing fails. */
  async run(): Promise<number> {
    const { method, path } = this.#question;
    const { settings } = this.#gateway;
    const raw = imagineHeaders(this.#question, this.#host(), settings.limits.headerBytes);
    const head = readHead(raw, false, null);
    this.#passed('The request is well-formed');

    this.step = 'path';
    const target = canonicalTarget(path, head.host);
    this.#passed(`The path is ${target.path}`);

    this.step = 'passthrough';
    if (isRealmPath(target.path)) return this.#passThrough(head, target);
    this.#passed('The path is not one of a realm');

    const service = this.#gateway.match(head.hostname, target.path);
    if (service !== null && isPreflight(service.route, method, head)) return this.#preflight(service, head);
    const handshake = asksForUpgrade(head) && isWebSocketHandshake(method, head);
    const principal = await this.#authenticate(head, handshake, service);
    return this.#admit(head, service, principal);
  }

  /** Where clients reach the gateway. */
  #host(): string {
    return this.#gateway.publicOrigin?.host ?? authorityOf(this.#gateway.settings.listen);
  }

  #preflight({ route }: Service, head: RequestHead): number {
    this.step = 'cors';
    checkPreflight(route, head);
    this.#passed('The preflight is answered at the edge');
    return 204;
  }

  async #authenticate(
    head: RequestHead,
    handshake: boolean,
    service: Service | null,
  ): Promise<Principal | null> {
    const { authenticator, settings } = this.#gateway;
    this.step = 'token';
    const { token } = readCredential(head, handshake, settings.limits.tokenBytes);
    if (token !== null) {
      return explainToken(authenticator, token, service?.route.realm ?? null, this.checks);
    }
    if (service?.route.public !== true) {
      throw new Refusal('token_missing', 'Send a token as Authorization: Bearer');
    }
    this.#passed('The request shows no token, and needs none');
    return null;
  }

  #admit(head: RequestHead, service: Service | null, principal: Principal | null): number {
    this.step = 'route';
    if (service === null) throw new Refusal('no_such_service', 'No service has this endpoint');
    const { route, group } = service;
    this.#passed(`The service is ${route.name}`);

    this.step = 'access';
    authorize(route, principal);
    this.#passed(accessOf(route));

    if (route.limit !== null) {
      this.step = 'limits';
      this.#passed('The service has limits, which are counted only when the request comes');
    }

    this.step = 'body';
    checkBodyLength(head.body, this.#gateway.settings.limits.bodyBytes);

    return this.#upstream(group, route.holdFor);
  }

  #upstream(group: UpstreamGroup, holdFor: number): number {
    this.step = 'upstream';
    if (group.ready) this.#passed('A replica is ready');
    else if (holdFor === 0) throw noReplicaReady();
    else this.#passed(`No replica is ready; the request waits up to ${holdFor / 1000} s for one`);
    return 200;
  }

  #passThrough(head: RequestHead, target: CanonicalTarget): number {
    const { method } = this.#question;
    const destination = findDestination(this.#gateway, target.path);
    if (destination === null) throw new Refusal('no_such_service', 'Nothing is published under this path');
    const { realm, endpoint } = destination;
    const { name } = realm.snapshot.settings;
    if (endpoint === 'backchannel-logout') {
      if (method !== 'POST') {
        throw new Refusal('method_not_allowed', 'Logout tokens are sent with POST', { allow: 'POST' });
      }
      requireForm(head);
      this.#passed(`The logout token decides about a session of the realm ${name}`);
      return 200;
    }
    if (endpoint !== 'token') {
      checkMethod(endpoint, method);
    } else if (!isTokenPreflight(method, head.body)) {
      if (target.query !== '') throw new Refusal('invalid_request', 'Parameters belong into the body');
      requireForm(head);
    }
    this.#passed(
      `The endpoint ${endpoint} of the realm ${name}; its limits and forms are checked when they come`,
    );
    checkBodyLength(head.body, this.#gateway.settings.limits.bodyBytes);
    return this.#upstream(realm.group, 0);
  }

  #passed(detail: string): void {
    this.checks.push({ name: this.step, ok: true, detail });
  }
}

function accessOf({ public: isPublic, access }: Route): string {
  const rules = Object.entries(access)
    .filter(([, members]) => members.length > 0)
    .map(([name, members]) => `one of the ${name} ${members.join(', ')}`);
  if (rules.length > 0) return `The token has ${rules.join(' and ')}`;
  return isPublic ? 'The service is public' : 'Any valid token is let through';
}
