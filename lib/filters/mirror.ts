/** Sends copies of requests to another Service; their answers are dropped. */
import { EvenSpread } from '../base/even-spread.ts'
import type { UpstreamKey } from '../model/upstream.ts'
import { matching, SERVICE_PORT } from './annotation-form.ts'
import { defineFilter } from './spec.ts'

type Options = Readonly<{
  upstream: UpstreamKey
  /** Of the requests, in percent: more than 0. */
  share: number
}>

/** Copies have it: where a mirror leads back to the gateway, a copy of a copy would be made without end. */
const COPY = 'x-portico-copy'

const ALL = 100

export const MIRROR = defineFilter<Options>({
  name: 'mirror',
  order: 495,
  isGuard: false,
  annotations: {
    mirror: {
      about:
        'the Service, in the namespace of the Ingress, that gets copies of the requests: `name` for its first port, or `name:port`. Its answers are dropped',
      form: SERVICE_PORT,
    },
    'mirror-share': {
      about: 'the part of the requests that is copied, in percent (`100%`), as in `10%` or `0.5%`; `0%`: none',
      form: matching(
        /^(?:100(?:\.0{1,4})?|\d{1,2}(?:\.\d{1,4})?)%$/,
        'is no part of the requests',
        'write a percentage from 0% to 100%, as in "10%"',
      ),
      needs: 'mirror',
    },
  },
  read(annotations) {
    const upstream = annotations.upstream('mirror')
    const share = Number.parseFloat(annotations.text('mirror-share') ?? `${ALL}%`)
    return upstream === undefined || share === 0 ? undefined : { upstream, share }
  },
  print: ({ upstream, share }) =>
    `copies of ${share === ALL ? 'all requests' : `${share}% of the requests`} to ${upstream}`,
  create({ upstream, share }) {
    const spread = share === ALL ? undefined : new EvenSpread()
    const part = share / ALL
    return {
      mirror: (request) => {
        if (request.header(COPY) !== undefined) return undefined
        return spread === undefined || spread.next() < part ? upstream : undefined
      },
    }
  },
})
