import { Refusal } from '../../errors.ts';
import type { UpstreamFailure } from './upstream-types.ts';

const REFUSALS = {
  unreachable: ['upstream_unreachable', 'The service could not be reached'],
  'connect-timeout': ['upstream_timeout', 'The service did not accept a connection in time'],
  reset: ['upstream_unreachable', 'The service closed the connection before it answered'],
  invalid: ['upstream_invalid', 'The service answered with something that is not valid HTTP'],
} as const;

/** What the client is told of a failed upstream. */
export function refusalOf({ kind }: UpstreamFailure): Refusal {
  const [code, detail] = REFUSALS[kind];
  return new Refusal(code, detail);
}
