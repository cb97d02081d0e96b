// Type-checks and bundles the snippets of the guide in a folder, for one generation of the AI SDK.
//
// argv[2]: {folder, generation: "5" | "6" | "7", entries: {name: file}, define: {name: value}}. Writes `<name>.js`: pages for
// the browser, with server actions called over HTTP; and `actions-<generation>.mjs` for Node.
import { build } from 'esbuild';
import { resolve } from 'node:path';

const { folder, generation, entries, define } = JSON.parse(process.argv[2]);
const modules = resolve('node_modules');
const alias = { ai: `${modules}/ai${generation}`, '@ai-sdk/react': `${modules}/react${generation}` };

/** What a framework does with `'use server'`: the page calls it over the network. */
const actions = {
  name: 'actions',
  setup({ onLoad }) {
    onLoad({ filter: /\/actions\.ts$/ }, () => ({
      loader: 'js',
      contents: ['startChat', 'readChat', 'mintToken']
        .map(
          name => `export async function ${name}(...args) {
            const answer = await fetch('/action/${generation}/${name}', { method: 'POST', body: JSON.stringify(args) });
            if (!answer.ok) throw new Error(await answer.text());
            return answer.json();
          }`,
        )
        .join('\n'),
    }));
  },
};

/** The stock hook, which also shows the test what it gives. */
const spy = {
  name: 'spy',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@ai-sdk\/react$/ }, ({ importer }) =>
      importer.startsWith(folder) ? { path: 'hook', namespace: 'spy' } : undefined,
    );
    onLoad({ filter: /.*/, namespace: 'spy' }, () => ({
      resolveDir: resolve('.'),
      contents: `import { useChat as stock } from 'react${generation}';
        export * from 'react${generation}';
        export const useChat = options => (window.chat = stock(options));`,
    }));
  },
};

const shared = { bundle: true, format: 'esm', nodePaths: [modules], jsx: 'automatic', logLevel: 'error' };
await build({
  ...shared,
  entryPoints: entries,
  outdir: folder,
  alias,
  plugins: [actions, spy],
  external: ['node:*'],
  define: { 'process.env.NODE_ENV': '"development"', ...define },
});
await build({
  ...shared,
  entryPoints: [`${folder}/actions.ts`],
  outfile: `${folder}/actions-${generation}.mjs`,
  platform: 'node',
  define: { 'process.env.NEXT_PUBLIC_AI': define['process.env.NEXT_PUBLIC_AI'] },
});
