# From an incident and what the model says of it to a row of case management. How severe it is, rules decide, and not the model.
# Input: {incident: {...}, summarise: {summary, pattern}}
.incident as $i | .summarise as $s |
{
  case_id: "\($i.account):\($i.transactions[0])",
  account: $i.account,
  opened_at: $i.last,
  severity: (
    if $i.worst >= 0.9 and $i.amount >= 1000 then "high"
    elif ($i.countries | length) > 1 and ($i.transactions | length) >= 3 then "high"
    elif $i.amount >= 1000 or $i.worst >= 0.8 then "medium"
    else "low" end),
  amount: $i.amount,
  pattern: $s.pattern,
  summary: $s.summary,
  transactions: $i.transactions
}
