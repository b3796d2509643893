import { createRequire } from 'node:module';
import { pino, type Logger } from 'pino';
import type * as PinoPretty from 'pino-pretty';
import { boundLine } from './bound-line.ts';
import { stdoutLines, type LineSink } from './line-writer.ts';
import { maskText, redactValue } from './redact.ts';

export type { Logger } from 'pino';

export type ProcessName = 'primary' | `worker-${number}`;

export interface LoggerOptions {
  /** `trace` to `fatal`, or `silent`; default `info`. */
  readonly level?: string;
  /** For a terminal, instead of JSON. */
  readonly pretty: boolean;
  readonly name?: ProcessName;
}

/**
 * The log of this process: JSON lines on standard output with `level` as text, `time` in ISO 8601 UTC, `name` of the
 * process, and `event` where a line is meant for machines. Lines are written at once, whole, at most 4096 bytes each,
 * and free of secrets at every level (`redact.ts`). Logging never throws.
 */
export function createLogger(options: LoggerOptions): Logger {
  const sink = logSink(options.pretty);
  const logger = pino(
    {
      level: options.level ?? 'info',
      base: { ...(options.name === undefined ? {} : { name: options.name }), pid: process.pid },
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      // `redactValue` has already turned errors into plain data.
      serializers: { err: (error: unknown) => error },
      hooks: {
        logMethod(args, method) {
          method.apply(this, redactArguments(args) as typeof args);
        },
      },
    },
    { write: (line: string) => sink.write(boundLine(maskText(line))) },
  );
  redactBindings(logger);
  return logger;
}

/** Writes out every line of this process that is still buffered. Synchronous; never throws. */
export function flush(): void {
  stdoutLines().flush();
}

/** Where the lines of this process go; shared by the log and the access log, so that they stay in order. */
export function logSink(pretty: boolean): LineSink {
  return pretty ? prettySink() : stdoutLines();
}

function redactArguments(args: readonly unknown[]): unknown[] {
  const [first, ...rest] = args;
  if (first instanceof Error) {
    return [
      { err: redactValue(first) },
      ...(rest.length === 0 ? [first.message] : rest.map((a) => redactValue(a))),
    ];
  }
  return args.map((argument) => redactValue(argument));
}

/** Child loggers render their bindings once, before any hook sees them. */
function redactBindings(logger: Logger): void {
  // Taken unbound on purpose: each is called on the logger that it is called on here.
  /* eslint-disable @typescript-eslint/unbound-method */
  const { child, setBindings } = logger;
  /* eslint-enable @typescript-eslint/unbound-method */
  Object.assign(logger, {
    child(this: Logger, bindings: unknown, ...options: unknown[]): unknown {
      return Reflect.apply(child, this, [redactValue(bindings), ...options]);
    },
    setBindings(this: Logger, bindings: unknown): void {
      Reflect.apply(setBindings, this, [redactValue(bindings)]);
    },
  });
}

/** pino-pretty costs 20 ms to load: only a terminal pays for it, and in this thread. */
function prettySink(): LineSink {
  const require = createRequire(import.meta.url);
  const { prettyFactory } = require('pino-pretty') as typeof PinoPretty;
  const pretty = prettyFactory({
    colorize: process.stdout.isTTY,
    ignore: 'pid,hostname',
    translateTime: 'HH:MM:ss.l',
  });
  const out = stdoutLines();
  const write = (line: string): void => {
    const readable: unknown = JSON.parse(line, (_key, value: unknown) =>
      typeof value === 'string' ? visible(value) : value,
    );
    out.write(pretty(readable));
  };
  return { write, buffer: write, flush: () => out.flush() };
}

/** Control characters from a client must not drive the terminal. Stack traces keep their line feeds. */
function visible(text: string): string {
  return text.replace(
    /[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
