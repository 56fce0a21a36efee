/** `portico run` */
import { type Command, INPUT_FLAGS, NO_WORDS } from '../command.ts'
import { readInput } from '../configuration-input.ts'
import { LOCAL_FLAG, readLocal } from '../local.ts'
import { SET_FLAG, SETTING_FLAGS } from '../setting-flag.ts'

export const command: Command = {
  name: 'run',
  summary: 'serve manifests',
  usage: '-f FILE [-c FILE] [flags]',
  about: [
    'Serves until SIGTERM or SIGINT: requests in flight may finish until the drain',
    'deadline, then exit code 0; a second signal stops at once, exit code 3. SIGHUP',
    'reloads; so does a changed file. --strict refuses a configuration with errors',
    'or warnings; --ignore CODE leaves out the problems of one code.',
  ],
  flags: [
    ...INPUT_FLAGS,
    LOCAL_FLAG,
    {
      name: 'ready-file',
      value: 'FILE',
      doc: 'holds {"http":PORT,"https":PORT,"admin":PORT,"pid":PID} while ready',
    },
    SET_FLAG,
    ...SETTING_FLAGS,
  ],
  firstFlags: [
    'filename',
    'config',
    'endpoints',
    'http-port',
    'https-port',
    'admin-port',
    'local',
    'ingress-class',
    'strict',
    'set',
  ],
  examples: [
    ['portico run -f k8s/', 'a folder and all below it'],
    ['portico run -f app.yaml --endpoints default/api=127.0.0.1:3000', 'a Service that runs on this machine'],
    ['helm template my-app | portico run -f -', 'a rendered chart'],
    ['portico run -c portico.yaml -f k8s/ --http-port 80 --https-port 443', 'with settings, on the usual ports'],
  ],
  words: NO_WORDS,
  async run(typed, terminal) {
    const read = await readInput('run', typed, terminal.host)
    const local = typed.has(LOCAL_FLAG.name) ? readLocal(read.flags, read.environment) : {}
    const input = { ...read, flags: { ...local, ...read.flags } }
    const { serve } = await import('../serve.ts')
    return serve(input, terminal, { readyFile: typed.value('ready-file') })
  },
}
