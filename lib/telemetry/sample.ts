/** Samples of metrics, as prom-client prints them. */
import type { Distribution } from './request-series.ts'

export type Labels = Readonly<Record<string, string | number>>

export type Sample = {
  /** The sample has the name of its metric if this is left out. */
  metricName?: string
  labels: Labels
  value: number
  /** `timestamp` in seconds since the epoch. */
  exemplar?: Readonly<{ labelSet: Readonly<Record<string, string>>; value: number; timestamp: number }>
}

/** Of a histogram of this name; none while there are no values. */
export function histogramSamples(
  name: string,
  labels: Labels,
  { bounds, counts, sum, exemplars }: Pick<Distribution, 'bounds' | 'counts' | 'sum'> & Partial<Distribution>,
): Sample[] {
  const samples: Sample[] = []
  let total = 0
  counts.forEach((count, index) => {
    total += count
    const exemplar = exemplars?.get(index)
    samples.push({
      metricName: `${name}_bucket`,
      labels: { ...labels, le: bounds[index] ?? '+Inf' },
      value: total,
      ...(exemplar && {
        exemplar: {
          labelSet: { trace_id: exemplar.traceId },
          value: exemplar.value,
          timestamp: exemplar.at / 1000,
        },
      }),
    })
  })
  if (total === 0) return []
  samples.push({ metricName: `${name}_sum`, labels, value: sum })
  samples.push({ metricName: `${name}_count`, labels, value: total })
  return samples
}
