import type { Readable } from 'node:stream';
import type { ControlApi, GatewayApi } from '../contracts/control-api.ts';
import type { ErrorCode } from '../errors.ts';
import type { Query, QueryParameters } from './query.ts';
import type { SchemaName } from './schemas.ts';

/** In ascending order: each may also do what those before it may. */
export const ROLES = ['viewer', 'developer', 'admin'] as const;

export type Role = (typeof ROLES)[number];

/**
 * One row of the table that the admin listener's routes and the OpenAPI document are made of. Schemas are named only,
 * so that the table loads without them.
 */
interface Description {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** As in OpenAPI, with at most one parameter: `/api/v1/services/{id}`. */
  readonly path: string;
  /** OpenAPI's `operationId`. */
  readonly id: string;
  readonly tag: Tag;
  /** What the caller needs; null = not even a token. */
  readonly role: Role | null;
  readonly summary: string;
  readonly description?: string;
  readonly query?: QueryParameters;
  readonly body?: Body;
  /** By status, where the request was granted. */
  readonly answers: Readonly<Record<number, Answer>>;
  /** Refusals beyond those that follow from the rest of the row. */
  readonly refusals?: readonly ErrorCode[];
}

interface Body {
  readonly schema: SchemaName;
  readonly optional?: true;
  /** Any other object is good too: what is wrong with it is the answer. */
  readonly loose?: true;
}

export type Tag = 'services' | 'secrets' | 'environments' | 'gateway' | 'audit' | 'health';

export interface Answer {
  readonly description: string;
  /** `list`: an object with the schema's objects as `items`. `text`: a media type. null = no body. */
  readonly content:
    { readonly json: SchemaName } | { readonly list: SchemaName } | { readonly text: string } | null;
  /** Whether it has the header `Location`. */
  readonly location?: true;
}

/** What the process tells of itself. */
export interface ProcessApi {
  /** Whether requests can be served; `problems` says why not, in words an operator may see without a token. */
  ready(): { readonly ok: boolean; readonly problems: readonly string[] };
  /** Prometheus text. */
  metrics(): Promise<string>;
}

/** A row with what carries it out, over the part of the program that it needs. */
export type Operation = ControlOperation | GatewayOperation | ProcessOperation;

export interface ControlOperation extends Description {
  readonly of: 'control';
  handle(control: ControlApi, call: Call): Result | Promise<Result>;
}

interface GatewayOperation extends Description {
  readonly of: 'gateway';
  handle(gateway: GatewayApi, call: Call): Result | Promise<Result>;
}

interface ProcessOperation extends Description {
  readonly of: 'process';
  handle(program: ProcessApi, call: Call): Result | Promise<Result>;
}

/** A request whose sender, query and body were checked. */
export interface Call {
  /** The parameter in the path; empty = it has none. */
  readonly target: string;
  readonly query: Query;
  /** An object where the operation has a body, else undefined. */
  readonly body: unknown;
  /** Username, or subject, of who asks; empty where no token is needed. */
  readonly actor: string;
  /** The answer's head only is wanted. */
  readonly head: boolean;
  /** Aborts when nobody reads the answer any more: the client left, or the program ends. */
  readonly signal: AbortSignal;
}

export interface Result {
  readonly status: number;
  /** Media type; null = no body. */
  readonly type: string | null;
  readonly content: Buffer | Readable | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** The head goes out before there is any content. */
  readonly atOnce?: boolean;
}
