import type { FastifyReply, FastifyRequest } from 'fastify';
import { challengeOf } from '../bearer.ts';
import { InvalidRequest, type Refusal } from '../errors.ts';
import { PROBLEM_TYPE, problemBody } from '../problem.ts';

/** Answers with the problem details of a refusal. `realm` is the one whose tokens would have been accepted. */
export function refuse(
  request: FastifyRequest,
  reply: FastifyReply,
  refusal: Refusal,
  realm: string,
): FastifyReply {
  const challenge = challengeOf(refusal, realm);
  if (challenge !== null) void reply.header('www-authenticate', challenge);
  if (refusal.allow !== undefined) void reply.header('allow', refusal.allow);
  if (refusal.retryAfter !== undefined) {
    void reply.header('retry-after', String(Math.max(1, Math.ceil(refusal.retryAfter))));
  }
  const errors = refusal instanceof InvalidRequest ? refusal.errors : undefined;
  // As bytes: to a string Fastify would add a charset, which JSON has none of (RFC 8259 section 11).
  const body = Buffer.from(problemBody(refusal.code, refusal.message, request.id, errors));
  return reply.code(refusal.status).type(PROBLEM_TYPE).send(body);
}
