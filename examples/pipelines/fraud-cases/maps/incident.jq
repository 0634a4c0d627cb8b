# From the flags of an account within ten minutes to what happened. Input: an array of flags, in the order in which they came.
{
  account: .[0].account,
  first: (map(.at) | min),
  last: (map(.at) | max),
  amount: (map(.amount) | add),
  worst: (map(.score) | max),
  rules: (map(.rule) | unique),
  countries: (map(.country) | unique),
  transactions: map(.transaction_id)
}
