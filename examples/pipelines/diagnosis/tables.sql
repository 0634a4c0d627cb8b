create table recommendations (
  id text primary key,
  patient text not null,
  icd10 text not null,
  actions jsonb not null
);
