import type { ControlChannel } from './control-channel.ts';
import type { Explanation, ExplainQuestion } from './explain.ts';
import type { MetricJson } from './metric-json.ts';
import type { Snapshot } from './snapshot.ts';

/** What travels between the primary and a worker, as JSON and in order. */
export type ToWorker =
  /** Serve by this snapshot: prepare, then say `serving` or `failed`. */
  | {
      readonly kind: 'start';
      readonly snapshot: Snapshot;
      readonly output: LogOutput;
      /** Number from 1 on; a replacement has the one of the worker it replaces. */
      readonly slot: number;
      /** 48 random bytes as base64, the same for all workers: any of them can resume a TLS session. */
      readonly ticketKeys: string;
    }
  /** A client's connection, which travels along as a handle. To be answered with `took` before it is read. */
  | { readonly kind: 'connection'; readonly id: number }
  /** The connection of this id was sent before. To be answered with `missed` if it did not come. */
  | { readonly kind: 'offered'; readonly id: number }
  /** Sections that replace the ones before, all of them in one go. */
  | { readonly kind: 'publish'; readonly sections: Partial<Snapshot> }
  /** Finish what is in progress, then exit. No connection follows. */
  | { readonly kind: 'drain' }
  | { readonly kind: 'report' }
  | { readonly kind: 'inquire'; readonly id: number; readonly inquiry: Inquiry }
  | { readonly kind: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly kind: 'no-answer'; readonly id: number; readonly message: string };

/** Logs for a terminal or as JSON, from which level on. The access log is part of `info`. */
export interface LogOutput {
  readonly pretty: boolean;
  readonly level: 'info' | 'warn';
}

export type FromWorker =
  /** The program is loaded: `start` may be sent. */
  | { readonly kind: 'loaded' }
  /** Connections may be sent. */
  | { readonly kind: 'serving' }
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'took' }
  /** The system could not hand the connection over: this process has too many files open. */
  | { readonly kind: 'missed' }
  | { readonly kind: 'ask'; readonly id: number; readonly question: Question }
  /** Nobody waits for the answer to this question any more. */
  | { readonly kind: 'withdraw'; readonly id: number }
  | { readonly kind: 'leave'; readonly key: string }
  | { readonly kind: 'reply'; readonly id: number; readonly value: Replies[Inquiry['about']] }
  | { readonly kind: 'metrics'; readonly metrics: readonly MetricJson[] };

/** What the primary wants to know of a worker. The reply is of after everything that was published before. */
export type Inquiry =
  { readonly about: 'load' } | { readonly about: 'explain'; readonly question: ExplainQuestion };

export interface Replies {
  readonly load: readonly OriginLoad[];
  readonly explain: Explanation;
}

/** What one worker has to do with an address of a service. */
export interface OriginLoad {
  readonly origin: string;
  /** Requests and tunnels in progress. */
  readonly outstanding: number;
  /** Those begun since the address was published. */
  readonly started: number;
}

/** A call of `ControlChannel` that awaits an answer. Its signal does not travel: `withdraw` stands for it. */
export type Question = {
  [M in Exclude<keyof ControlChannel, 'leave'>]: {
    readonly call: M;
    readonly args: Parameters<ControlChannel[M]> extends [...infer Data, AbortSignal]
      ? Data
      : Parameters<ControlChannel[M]>;
  };
}[Exclude<keyof ControlChannel, 'leave'>];
