import { expect, test } from 'vitest';
import { type Naming, UpstreamGroup, Upstreams } from '../../../src/gateway/forward/upstream-group.ts';

function groups(upstreams: Upstreams, lists: readonly (readonly string[])[], naming: Naming = 'routes') {
  return upstreams.name(naming, lists).map((members) => new UpstreamGroup(members));
}

function group(...origins: string[]): UpstreamGroup {
  return groups(ignoring(), [origins])[0]!;
}

/** Nobody is told of addresses that are withdrawn. */
function ignoring(): Upstreams {
  return new Upstreams(() => undefined);
}

/** The origins of `count` requests, all in progress at the same time. */
function take(from: UpstreamGroup, count: number, now = 0): string[] {
  return Array.from({ length: count }, () => {
    const member = from.pick(now)!;
    member.outstanding++;
    return member.origin;
  });
}

test('equally loaded members take turns', () => {
  const members = group('a', 'b', 'c');
  const picked = Array.from({ length: 6 }, () => members.pick(0)!.origin);
  expect(picked.slice(0, 3).sort()).toEqual(['a', 'b', 'c']);
  expect(picked.slice(3)).toEqual(picked.slice(0, 3));
});

test('the member with the fewest requests in progress is next', () => {
  const members = group('a', 'b', 'c');
  members.members[0]!.outstanding = 2;
  members.members[1]!.outstanding = 1;
  expect(take(members, 6).sort()).toEqual(['a', 'b', 'b', 'c', 'c', 'c']);
});

test('an unhealthy member is never picked, and none is where none is healthy', () => {
  const upstreams = ignoring();
  const [both, alone] = groups(upstreams, [['a', 'b'], ['a']]);
  upstreams.setUnhealthy(['a', 'unknown']);
  expect(new Set(take(both!, 5))).toEqual(new Set(['b']));
  expect(alone!.pick(0)).toBeNull();
  upstreams.setUnhealthy(['a', 'b']);
  expect(both!.pick(0)).toBeNull();
  upstreams.setUnhealthy([]);
  expect(alone!.pick(0)!.origin).toBe('a');
});

test('a member that refused a connection is passed over for a second while there is another', () => {
  const members = group('a', 'b');
  const [a, b] = members.members;
  b!.outstanding = 100;
  members.avoid(a!, 5_000);
  expect(members.pick(5_999)).toBe(b);
  expect(members.pick(6_000)).toBe(a);
  members.avoid(b!, 5_900);
  members.avoid(a!, 5_900);
  expect(members.pick(6_000)).toBe(a);
});

test('a member that is avoided is still asked where the others are unhealthy', () => {
  const upstreams = ignoring();
  const [members] = groups(upstreams, [['a', 'b']]);
  members!.avoid(members!.members[0]!, 0);
  upstreams.setUnhealthy(['b']);
  expect(members!.pick(1)!.origin).toBe('a');
});

test('an address keeps its count over a change of the routes, and shares it between them', () => {
  const upstreams = ignoring();
  const [before] = groups(upstreams, [['a', 'b']]);
  take(before!, 4);
  const [after, other] = groups(upstreams, [['b', 'c'], ['b']]);
  expect(after!.members[0]).toBe(other!.members[0]);
  expect(after!.members.map(({ outstanding }) => outstanding)).toEqual([2, 0]);
  expect(groups(upstreams, [['a']])[0]!.members[0]!.outstanding).toBe(0);
});

test('an address is withdrawn once nobody names it any more', () => {
  const withdrawn: string[] = [];
  const upstreams = new Upstreams((origin) => withdrawn.push(origin));
  upstreams.name('routes', [['a', 'b']]);
  upstreams.name('services', [['b', 'c']]);
  upstreams.name('realms', [['c']]);
  upstreams.name('services', []);
  expect(withdrawn).toEqual([]);
  upstreams.name('routes', [['a']]);
  expect(withdrawn).toEqual(['b']);
  upstreams.name('realms', []);
  expect(withdrawn).toEqual(['b', 'c']);
});

test('the load is of services alone, and keeps an address that went away while it has requests', () => {
  const upstreams = ignoring();
  groups(upstreams, [['static']]);
  const [before] = groups(upstreams, [['a', 'b']], 'services');
  const [a] = before!.members;
  a!.begin();
  a!.begin();
  groups(upstreams, [['b']], 'services');
  expect(upstreams.load()).toEqual([
    { origin: 'b', outstanding: 0, started: 0 },
    { origin: 'a', outstanding: 2, started: 2 },
  ]);
  a!.end();
  const [again] = groups(upstreams, [['a']], 'services');
  expect(again!.members[0]).toBe(a);
  expect(upstreams.load()).toEqual([{ origin: 'a', outstanding: 1, started: 2 }]);
  groups(upstreams, [], 'services');
  a!.end();
  expect(upstreams.load()).toEqual([]);
});

test('an address that is new is as healthy as the health checks last said', () => {
  const upstreams = ignoring();
  upstreams.setUnhealthy(['a']);
  const [members] = groups(upstreams, [['a']]);
  expect(members!.ready).toBe(false);
  expect(members!.pick(0)).toBeNull();
});

test('a group whose members are replaced picks from the new ones, also after it had none', () => {
  const upstreams = ignoring();
  const service = group('a', 'b');
  service.members = [];
  expect(service.pick(0)).toBeNull();
  service.members = upstreams.name('services', [['c', 'd']])[0]!;
  expect(new Set(take(service, 4))).toEqual(new Set(['c', 'd']));
});
