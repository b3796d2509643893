import { expect, test } from 'vitest';
import { type UpstreamGroup, Upstreams } from '../../../src/gateway/forward/upstream-group.ts';

function group(...origins: string[]): UpstreamGroup {
  return new Upstreams().groups([origins])[0]!;
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
  const upstreams = new Upstreams();
  const [both, alone] = upstreams.groups([['a', 'b'], ['a']]);
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
  const upstreams = new Upstreams();
  const [members] = upstreams.groups([['a', 'b']]);
  members!.avoid(members!.members[0]!, 0);
  upstreams.setUnhealthy(['b']);
  expect(members!.pick(1)!.origin).toBe('a');
});

test('an address keeps its count over a change of the routes, and shares it between them', () => {
  const upstreams = new Upstreams();
  const [before] = upstreams.groups([['a', 'b']]);
  take(before!, 4);
  const [after, other] = upstreams.groups([['b', 'c'], ['b']]);
  expect(after!.members[0]).toBe(other!.members[0]);
  expect(after!.members.map(({ outstanding }) => outstanding)).toEqual([2, 0]);
  expect(upstreams.groups([['a']])[0]!.members[0]!.outstanding).toBe(0);
});
