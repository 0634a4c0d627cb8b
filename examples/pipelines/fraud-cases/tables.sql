create table fraud_cases (
  case_id text primary key,
  account text not null,
  severity text not null check (severity in ('low', 'medium', 'high')),
  amount numeric not null,
  summary text not null,
  flags jsonb not null
);
