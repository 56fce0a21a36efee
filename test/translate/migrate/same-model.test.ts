import t from 'tap'
import { isSameModel } from '../../../lib/translate/migrate/same-model.ts'
import { printIngresses, printService } from '../ingress/nginx/nginx-ingress.ts'
import { translateText } from '../manifests.ts'

const translate = (nginx: Readonly<Record<string, string>>) =>
  translateText(`${printIngresses({ a: { nginx } })}---\n${printService('web')}`).model

t.test('models are the same whatever the annotations are called', async (t) => {
  t.ok(isSameModel(translate({ 'proxy-body-size': '8m' }), translate({ 'portico.dev/body-limit': '8Mi' })))
  const closed = translate({ 'auth-type': 'basic', 'auth-secret': 'users' })
  t.ok(isSameModel(closed, translate({ 'portico.dev/basic-auth-secret': 'users' })), 'the reason names the annotation')
})

t.test('models with other options, filters or reasons differ', async (t) => {
  const model = translate({ 'proxy-body-size': '8m' })
  for (const nginx of [{}, { 'proxy-body-size': '9m' }, { 'proxy-body-size': '8m', 'enable-cors': 'true' }]) {
    t.notOk(isSameModel(model, translate(nginx)), JSON.stringify(nginx))
  }
  t.notOk(isSameModel(translate({ affinity: 'cookie' }), translate({})), 'of a Service')
})
