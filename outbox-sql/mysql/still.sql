-- Whether the transaction is still there comes with the answer to any statement; this one begins none itself.
do 0
