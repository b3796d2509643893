import { Refusal } from '../../errors.ts';

export function noReplicaReady(): Refusal {
  return new Refusal('service_unavailable', 'No replica of the service is ready', { retryAfter: 1 });
}

export function gatewayStopping(): Refusal {
  return new Refusal('service_unavailable', 'The gateway is stopping', { retryAfter: 1 });
}

export function tokenExpired(): Refusal {
  return new Refusal('token_expired', 'The token has expired');
}
