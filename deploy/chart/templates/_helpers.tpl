{{- define "selector" -}}
app.kubernetes.io/name: {{ .Values.name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "labels" -}}
{{ include "selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: trustreg
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "metadata" -}}
name: {{ .Values.name }}
namespace: {{ .Release.Namespace }}
labels:
  {{- include "labels" . | nindent 2 }}
{{- end }}

{{- define "tls" -}}
{{- if .Values.certificates.certManager -}}
{{ .Values.name }}-tls
{{- else -}}
{{ required "certificates.secret is needed without cert-manager: the name of a secret of type kubernetes.io/tls" .Values.certificates.secret }}
{{- end -}}
{{- end }}

{{- define "readable" -}}
- apiGroups: [""]
  resources: [secrets]
  {{- with .Values.pullSecrets.secretNames }}
  resourceNames: {{ toJson . }}
  {{- end }}
  verbs: [get]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get]
{{- if .Values.pullSecrets.owners }}
- apiGroups: [""]
  resources: [replicationcontrollers]
  verbs: [get]
- apiGroups: [apps]
  resources: [deployments, replicasets, statefulsets, daemonsets]
  verbs: [get]
- apiGroups: [batch]
  resources: [jobs, cronjobs]
  verbs: [get]
{{- end }}
{{- end }}

{{- define "subject" -}}
- kind: ServiceAccount
  name: {{ .Values.name }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- define "registration" -}}
admissionReviewVersions: [v1]
sideEffects: {{ empty .Values.alerts.secret | ternary "None" "NoneOnDryRun" }}
failurePolicy: {{ .Values.webhooks.failurePolicy }}
matchPolicy: Equivalent
timeoutSeconds: {{ .Values.webhooks.timeoutSeconds }}
namespaceSelector:
  {{- with .Values.webhooks.namespaceLabels }}
  matchLabels:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: NotIn
      values: {{ prepend .Values.webhooks.excludedNamespaces .Release.Namespace | uniq | toJson }}
rules:
  - apiGroups: [""]
    apiVersions: [v1]
    operations: [CREATE, UPDATE]
    resources: [pods, pods/ephemeralcontainers, podtemplates, replicationcontrollers]
    scope: Namespaced
  - apiGroups: [apps]
    apiVersions: [v1]
    operations: [CREATE, UPDATE]
    resources: [deployments, replicasets, statefulsets, daemonsets]
    scope: Namespaced
  - apiGroups: [batch]
    apiVersions: [v1]
    operations: [CREATE, UPDATE]
    resources: [jobs, cronjobs]
    scope: Namespaced
  {{- with .Values.webhooks.rules }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "client" -}}
service:
  name: {{ .root.Values.name }}
  namespace: {{ .root.Release.Namespace }}
  port: {{ .root.Values.service.port }}
  path: {{ .path }}
{{- if not .root.Values.certificates.certManager }}
caBundle: {{ required "certificates.ca is needed without cert-manager: the CA of the certificate, PEM" .root.Values.certificates.ca | b64enc }}
{{- end }}
{{- end }}

{{- define "injection" -}}
{{- if .Values.certificates.certManager }}
annotations:
  cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/{{ .Values.name }}
{{- end }}
{{- end }}
