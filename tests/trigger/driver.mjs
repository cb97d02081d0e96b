// Runs one scenario with an unmodified client and prints what it saw as JSON; see client.mjs for what it is given.
import { scenarios as basics } from './basics.mjs';
import { given } from './client.mjs';
import { scenarios as cuts } from './cuts.mjs';
import { scenarios as features } from './features.mjs';
import { scenarios as headstart } from './headstart.mjs';
import { scenarios as odd } from './odd.mjs';
import { scenarios as wire } from './wire.mjs';

const result = await { ...basics, ...cuts, ...features, ...headstart, ...odd, ...wire }[given.scenario]();
process.stdout.write(JSON.stringify(result));
process.exit(0);
