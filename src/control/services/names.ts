import { randomInt } from 'node:crypto';

const ADJECTIVES =
  'able agile amber ample apt bold brave brief bright brisk calm civil clear clever cosy crisp curly daring deft ' +
  'eager early easy fair fast fine firm fluent fond frank free fresh gentle glad golden grand green happy hardy ' +
  'honest humble jolly keen kind light lively loyal lucid lucky mellow merry mild modest neat nimble noble patient ' +
  'placid plain polite proud quick quiet rapid ready robust rosy royal silent silver simple smart smooth snug solid ' +
  'sound spry steady sunny swift tidy true upbeat vivid warm wise witty young zesty';

const NOUNS =
  'alpaca antelope badger bear beaver bison bobcat camel caribou cat cheetah cod condor coral cormorant crab crane ' +
  'cricket deer dingo dolphin dove duck eagle eel egret elk falcon ferret finch fox gannet gazelle gecko gibbon goose ' +
  'grouse gull hare hawk heron ibex ibis iguana jackal jay kestrel kiwi koala lark lemur lion llama lynx magpie ' +
  'marten mole moose newt ocelot octopus osprey otter owl panda parrot pelican penguin pike plover pony puffin quail ' +
  'rabbit raven robin salmon seal shrew sparrow squid stork swan tapir tern tiger toad trout turtle walrus wombat ' +
  'wren yak zebra';

/** A name such as `brave-otter` that is not taken. */
export function generateName(taken: (name: string) => boolean): string {
  for (let attempt = 0; ; attempt++) {
    const words = `${pick(ADJECTIVES)}-${pick(NOUNS)}`;
    // Where most of the ten thousand are taken, a number finds a free one sooner.
    const name = attempt < 10 ? words : `${words}-${randomInt(100, 1_000_000)}`;
    if (!taken(name)) return name;
  }
}

function pick(words: string): string {
  const list = words.split(' ');
  return list[randomInt(list.length)]!;
}
